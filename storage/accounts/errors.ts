// Why the account store refuses. Codes are ErrorCode of client.proto; the last three stay inside.

import { errorList } from "../../runtime/index.ts";

const refused = (sentence: string) => ({ retryable: false, executed: "no", sentence }) as const;

export const accountErrors = errorList({
  ALREADY_EXISTS: refused("The name is taken."),
  NO_SUCH_USER: refused("There is no such user."),
  NOT_ALLOWED: refused("That is not allowed."),
  DATABASE_REFUSED: refused("The database does not let this node in."),
  SCHEMA_MISSING: refused("The database has not the tables of this version; run `madang schema apply`."),
  NO_FREE_WORKER: { retryable: true, executed: "no", sentence: "All worker numbers are leased; ids cannot be minted." },
});
