// Errors that tell the caller what to do next. Every folder declares one closed list with `errorList`, and a code means the
// same in all of them: in a log, between nodes and at a client. Most codes are ErrorCode of client.proto. Those that are not
// stay inside; if one gets out, the edge tells INTERNAL in its place, with its own facts.

/** Whether the request took effect. */
export type Executed = "no" | "maybe" | "yes";

export interface ErrorKind {
  /** The same request may succeed later. */
  readonly retryable: boolean;
  readonly executed: Executed;
  /** One sentence for the person who reads the log. */
  readonly sentence: string;
}

export interface ErrorDetails {
  /** Instead of the sentence of the kind. */
  readonly message?: string;
  readonly cause?: unknown;
  /** When more is known than the kind says. */
  readonly executed?: Executed;
  readonly retryAfterMs?: number;
  /** Small facts that a program needs to go on, such as the number that is expected. */
  readonly detail?: Readonly<Record<string, number | string>>;
}

export class MadangError extends Error {
  override readonly name = "MadangError";
  readonly code: string;
  readonly retryable: boolean;
  readonly executed: Executed;
  readonly retryAfterMs: number;
  readonly detail: Readonly<Record<string, number | string>>;

  constructor(code: string, kind: ErrorKind, details: ErrorDetails = {}) {
    super(details.message ?? kind.sentence, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryable = kind.retryable;
    this.executed = details.executed ?? kind.executed;
    this.retryAfterMs = details.retryAfterMs ?? 0;
    this.detail = details.detail ?? {};
  }
}

/** Makes one constructor a code: `errors.NOT_A_MEMBER({ detail })`. */
export function errorList<Kinds extends Record<string, ErrorKind>>(
  kinds: Kinds,
): { readonly [Code in keyof Kinds]: (details?: ErrorDetails) => MadangError } & { readonly kinds: Kinds } {
  const list = Object.entries(kinds).map(([code, kind]) => [
    code,
    (details?: ErrorDetails) => new MadangError(code, kind, details),
  ]);
  return Object.assign(Object.fromEntries(list), { kinds });
}

/** The runtime's own list. */
export const runtimeErrors = errorList({
  OVERLOADED: { retryable: true, executed: "no", sentence: "A queue is full; try again after retryAfterMs." },
  DEADLINE_EXCEEDED: { retryable: true, executed: "maybe", sentence: "No answer came within the deadline." },
  UNAVAILABLE: { retryable: true, executed: "no", sentence: "No node could be reached that owns the actor." },
  CANCELLED: { retryable: false, executed: "maybe", sentence: "The caller gave up." },
  SHUTTING_DOWN: { retryable: true, executed: "no", sentence: "The node is stopping; another one will answer." },
  MOVED: { retryable: true, executed: "no", sentence: "The actor lives on another node now." },
  SHARD_LOST: {
    retryable: true,
    executed: "maybe",
    sentence: "Another node owns the shard now; ask it for the outcome.",
  },
  TOO_LARGE: { retryable: false, executed: "no", sentence: "The request is larger than one envelope may be." },
  SERVICE_NOT_ALLOWED: { retryable: false, executed: "no", sentence: "The service may not call this method." },
  NO_SUCH_METHOD: { retryable: false, executed: "no", sentence: "The actor has no such method." },
  INTERNAL: { retryable: false, executed: "maybe", sentence: "The actor failed; the log of its node tells why." },
});

/** Converts whatever was thrown into a MadangError, once, at the edge. */
export function toMadangError(thrown: unknown): MadangError {
  return thrown instanceof MadangError ? thrown : runtimeErrors.INTERNAL({ cause: thrown });
}

/** For our own mistakes: what must be true here. */
export function assert(condition: unknown, fact: string): asserts condition {
  if (!condition) throw new Error(`not true: ${fact}`);
}
