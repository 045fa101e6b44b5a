// Why the edge refuses. Codes are ErrorCode of client.proto.

import { ErrorCode, type ErrorReply, Executed } from "../proto/index.ts";
import { errorList, type MadangError } from "../runtime/index.ts";

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

/** What a client is told of an error: no stack, no cause. */
export function errorReply(error: MadangError): ErrorReply {
  return {
    // Its own properties only: "constructor" is a name in every object, and no code.
    code: Object.hasOwn(ErrorCode, error.code) ? ErrorCode[error.code as keyof typeof ErrorCode] : ErrorCode.INTERNAL,
    message: error.message,
    retryable: error.retryable,
    executed: executedOnWire[error.executed],
    retryAfterMs: error.retryAfterMs,
    expectedNumber: Number(error.detail.expectedNumber ?? 0),
  };
}
