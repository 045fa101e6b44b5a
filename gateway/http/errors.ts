// From errors to answers: one status a code.

import type { z } from "zod";
import { errorList, type MadangError } from "../../runtime/index.ts";
import type * as shapes from "./shapes.ts";

const refused = (sentence: string) => ({ retryable: false, executed: "no", sentence }) as const;

export const httpErrors = errorList({
  BAD_FRAME: refused("The request is not what this call takes."),
  UNAUTHENTICATED: refused("The access token is missing, forged, expired, or its log-in has ended."),
  TICKET_INVALID: refused("The ticket is not one of ours."),
  TICKET_EXPIRED: refused("The ticket is too old; ask for a new one."),
  TOO_MANY_REQUESTS: { retryable: true, executed: "no", sentence: "Too many attempts; try again after retryAfterMs." },
  OVERLOADED: {
    retryable: true,
    executed: "no",
    sentence: "The node has too much to do; try again after retryAfterMs.",
  },
  NO_SUCH_USER: refused("There is no such user."),
  NO_SUCH_CHANNEL: refused("There is no such channel."),
  NOT_ALLOWED: refused("That is not allowed."),
  NUMBER_REUSED: refused("The Idempotency-Key was used before, for another request."),
});

/** Every code that an answer can carry. */
export const statusOf: Readonly<Record<string, number>> = {
  BAD_FRAME: 400,
  FRAME_TOO_LARGE: 413,
  TOO_MANY_REQUESTS: 429,
  UNAUTHENTICATED: 401,
  TICKET_INVALID: 401,
  TICKET_EXPIRED: 401,
  TICKET_USED: 401,
  NOT_A_MEMBER: 403,
  NO_SUCH_CHANNEL: 404,
  NO_SUCH_USER: 404,
  NOT_ALLOWED: 403,
  BLOCKED: 403,
  GROUP_FULL: 409,
  ALREADY_EXISTS: 409,
  OUT_OF_ORDER: 409,
  NUMBER_REUSED: 422,
  ALREADY_KEPT: 409,
  CONTENT_EMPTY: 422,
  TEXT_TOO_LONG: 422,
  TEXT_MALFORMED: 422,
  CONTENT_NOT_ACCEPTED: 422,
  OVERLOADED: 503,
  DEADLINE_EXCEEDED: 504,
  UNAVAILABLE: 503,
  CANCELLED: 499,
  SHUTTING_DOWN: 503,
  INTERNAL: 500,
};

/** No stack, no cause: those are for the log. */
export function errorBody({
  code,
  message,
  retryable,
  executed,
  retryAfterMs,
}: MadangError): z.infer<typeof shapes.error> {
  const known = statusOf[code] !== undefined;
  const body = { code: known ? code : "INTERNAL", message, retryable, executed };
  return { error: retryAfterMs > 0 ? { ...body, retryAfterMs } : body };
}
