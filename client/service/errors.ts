// What can go wrong for a service. Codes of the cluster arrive here unchanged; those below are what only the service itself
// can know. docs/services.md tells what to do at each.

import type { Failure } from "../../proto/index.ts";

/** Whether the call took effect. no: refused, it had none and never will. maybe: unknown. yes: it had. */
export type Executed = "no" | "maybe" | "yes";

export interface ServiceErrorFacts {
  /** The same call may succeed later. */
  readonly retryable: boolean;
  readonly executed: Executed;
  readonly message: string;
  readonly retryAfterMs?: number;
  readonly detail?: Readonly<Record<string, number | string>>;
  readonly cause?: unknown;
}

export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly code: string;
  readonly retryable: boolean;
  readonly executed: Executed;
  readonly retryAfterMs: number;
  /** Small facts that a program needs to go on, such as `expectedNumber` with OUT_OF_ORDER. */
  readonly detail: Readonly<Record<string, number | string>>;

  constructor(code: string, { retryable, executed, message, retryAfterMs, detail, cause }: ServiceErrorFacts) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = retryable;
    this.executed = executed;
    this.retryAfterMs = retryAfterMs ?? 0;
    this.detail = detail ?? {};
  }
}

const kinds = {
  DEADLINE_EXCEEDED: { retryable: true, executed: "maybe", message: "No answer came within the deadline." },
  CANCELLED: { retryable: false, executed: "maybe", message: "The caller gave up." },
  OVERLOADED: { retryable: true, executed: "no", message: "Too many calls of this service wait for their answers." },
  TOO_LARGE: { retryable: false, executed: "no", message: "The request is larger than one message may be." },
  UNAVAILABLE: { retryable: true, executed: "no", message: "No node took the call." },
  BAD_REPLY: { retryable: false, executed: "maybe", message: "The answer could not be understood." },
  CLOSED: { retryable: false, executed: "no", message: "The service is closed." },
  LOG_WENT_BACK: {
    retryable: false,
    executed: "no",
    message: "The channel's log ends below what this service has had of it: the cluster was restored from a back-up.",
  },
  BAD_NAME: {
    retryable: false,
    executed: "no",
    message:
      "Names stand in subjects: 1 to 64 letters, digits, - or _ for a cluster, 1 to 50 of these or ~ for a service.",
  },
  NATS_UNREACHABLE: { retryable: true, executed: "no", message: "No NATS server answers at this address." },
  NATS_REFUSED: { retryable: false, executed: "no", message: "The NATS server does not let this service in." },
} as const satisfies Record<string, ServiceErrorFacts>;

export type ServiceErrorCode = keyof typeof kinds;

/** The service's own errors: `serviceError("CLOSED")`. */
export function serviceError(code: ServiceErrorCode, details: Partial<ServiceErrorFacts> = {}): ServiceError {
  return new ServiceError(code, { ...kinds[code], ...details });
}

/** The same, when more is known of the whole call than of its last attempt. */
export function withExecuted(error: ServiceError, executed: Executed): ServiceError {
  const { code, retryable, message, retryAfterMs, detail } = error;
  return new ServiceError(code, { retryable, executed, message, retryAfterMs, detail, cause: error });
}

const executedOnWire: readonly Executed[] = ["no", "maybe", "yes"];

export function fromFailure(failure: Failure): ServiceError {
  return new ServiceError(failure.code, {
    retryable: failure.retryable,
    executed: executedOnWire[failure.executed] ?? "maybe",
    message: failure.message,
    retryAfterMs: failure.retryAfterMs,
    detail: detailFrom(failure.detail),
  });
}

/** Written as JSON by a node; facts that cannot be read are no facts. */
function detailFrom(text: string): Readonly<Record<string, number | string>> {
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
