// Why the account store refuses. Codes are ErrorCode of client.proto.

import { errorList } from "../../runtime/index.ts";

const refused = (sentence: string) => ({ retryable: false, executed: "no", sentence }) as const;

export const accountErrors = errorList({
  ALREADY_EXISTS: refused("The name is taken."),
  NO_SUCH_USER: refused("There is no such user."),
  NOT_ALLOWED: refused("That is not allowed."),
});
