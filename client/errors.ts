// What can go wrong for an application. Codes of the server (ErrorCode of client.proto) arrive here unchanged; those that
// only the SDK can know are listed below.

import { type ContentFault, ErrorCode, type ErrorReply, Executed } from "../proto/client.ts";

/** Whether the request took effect. */
export type Effect = "no" | "maybe" | "yes";

export interface ClientErrorFacts {
  /** The same request may succeed later. */
  readonly retryable: boolean;
  readonly executed: Effect;
  readonly message?: string;
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

export class ClientError extends Error {
  override readonly name = "ClientError";
  /** A name of ErrorCode, or of `clientErrors`. */
  readonly code: string;
  readonly retryable: boolean;
  readonly executed: Effect;
  readonly retryAfterMs: number;

  constructor(code: string, { retryable, executed, message, retryAfterMs, cause }: ClientErrorFacts) {
    super(message ?? code, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = retryable;
    this.executed = executed;
    this.retryAfterMs = retryAfterMs ?? 0;
  }
}

const kinds = {
  NOT_CONNECTED: { retryable: true, executed: "no", message: "There is no connection; try again when there is one." },
  CONNECTION_LOST: { retryable: true, executed: "maybe", message: "The connection was lost before the answer came." },
  NOT_LOGGED_IN: { retryable: false, executed: "no", message: "Log in first." },
  LOGGED_OUT: { retryable: false, executed: "maybe", message: "The log-in ended before the answer came." },
  OUTBOX_FULL: { retryable: true, executed: "no", message: "Too many sends wait for their acknowledgement." },
  STORE_FAILED: {
    retryable: true,
    executed: "no",
    message: "The device could not keep the message before sending it.",
  },
  OUTCOME_UNKNOWN: {
    retryable: false,
    executed: "maybe",
    message: "The message was refused now, and whether an earlier attempt was kept can no longer be found out.",
  },
  NETWORK: { retryable: true, executed: "maybe", message: "The server could not be reached." },
  BAD_REPLY: { retryable: false, executed: "maybe", message: "The server's answer could not be understood." },
  CLOSED: { retryable: false, executed: "no", message: "The client is closed." },
  STORE_IN_USE: { retryable: false, executed: "no", message: "Another client uses this store." },
  STORE_OF_ANOTHER: {
    retryable: false,
    executed: "no",
    message: "The store holds the data of another person; log in with a store of your own.",
  },
  STORE_DAMAGED: { retryable: false, executed: "no", message: "The store holds something that cannot be read." },
} as const satisfies Record<string, ClientErrorFacts>;

export type ClientErrorCode = keyof typeof kinds;

/** The SDK's own errors: `clientError("NOT_CONNECTED")`. */
export function clientError(code: ClientErrorCode, details: { message?: string; cause?: unknown } = {}): ClientError {
  return new ClientError(code, { ...kinds[code], ...details });
}

const contentSentences: Readonly<Record<ContentFault, string>> = {
  BAD_FRAME: "An id or a size is no integer from 0 to 2^53 - 1.",
  CONTENT_EMPTY: "The message has no content.",
  TEXT_TOO_LONG: "The text is longer than the server takes.",
  TEXT_MALFORMED: "The text is not well-formed Unicode: it holds half of a surrogate pair.",
  CONTENT_NOT_ACCEPTED: "A client cannot send this kind of content.",
};

/** What the server would answer, said before anything is kept. */
export function contentError(fault: ContentFault): ClientError {
  return new ClientError(fault, { retryable: false, executed: "no", message: contentSentences[fault] });
}

const codeNames = new Map<number, string>(Object.entries(ErrorCode).map(([name, code]) => [code, name]));
const effects = new Map<number, Effect>([
  [Executed.NO, "no"],
  [Executed.MAYBE, "maybe"],
  [Executed.YES, "yes"],
]);

export function fromReply(reply: ErrorReply): ClientError {
  return new ClientError(codeNames.get(reply.code) ?? "UNSPECIFIED", {
    retryable: reply.retryable,
    executed: effects.get(reply.executed) ?? "maybe",
    message: reply.message,
    retryAfterMs: reply.retryAfterMs,
  });
}
