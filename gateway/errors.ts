// Why the edge refuses. Codes are ErrorCode of client.proto.

import { ErrorCode, type ErrorReply, Executed } from "../proto/index.ts";
import { errorList, type Logger, type MadangError } from "../runtime/index.ts";

const refused = (sentence: string) => ({ retryable: false, executed: "no", sentence }) as const;
const later = (sentence: string) => ({ retryable: true, executed: "no", sentence }) as const;

export const gatewayErrors = errorList({
  BAD_FRAME: refused("The bytes are not a frame of this protocol."),
  FRAME_TOO_LARGE: refused("The frame is larger than a frame may be."),
  FRAME_TOO_SLOW: later("No complete frame came in time."),
  HELLO_EXPECTED: refused("The first frame of a connection is Hello, and there is one only."),
  TOO_MANY_REQUESTS: later("Too much at once; try again after retryAfterMs."),
  TOO_MANY_CONNECTIONS: later("Too many connections; try again later."),
  ORIGIN_REFUSED: refused("Pages of this origin may not connect."),
  NO_SUCH_CHANNEL: refused("There is no such channel."),
});

const executedOnWire = { no: Executed.NO, maybe: Executed.MAYBE, yes: Executed.YES } as const;

/** Own properties only: "constructor" is a name in every object, and no code. */
export function isOnWire(code: string): code is keyof typeof ErrorCode {
  return Object.hasOwn(ErrorCode, code);
}

/** What a client is told of an error: no stack, no cause. */
export function errorReply(error: MadangError): ErrorReply {
  return {
    code: isOnWire(error.code) ? ErrorCode[error.code] : ErrorCode.INTERNAL,
    message: error.message,
    retryable: error.retryable,
    executed: executedOnWire[error.executed],
    retryAfterMs: error.retryAfterMs,
    expectedNumber: Number(error.detail.expectedNumber ?? 0),
  };
}

/** Tells the log that clients hear INTERNAL in place of a code that `isKnown` does not know; once a code, for it may be a storm. */
export function createUntold(log: Logger, isKnown: (code: string) => boolean): (error: MadangError) => void {
  const told = new Set<string>();
  return (error) => {
    if (isKnown(error.code) || told.has(error.code)) return;
    told.add(error.code);
    log.warn({ error }, "clients are told INTERNAL for a code that they do not know");
  };
}
