// What no fence insists on: a register, a wake row, a read. It is done again a few times, the same bytes, and then it is
// for the caller to come back.

import { runtimeErrors } from "../../runtime/index.ts";
import { type Insistence, insist } from "../fence/insist.ts";

export interface Attempts extends Insistence {
  /** True when the store was closed. */
  closed(): boolean;
}

/** Rejects with UNAVAILABLE. */
export async function attempt<T>(attempts: Attempts, kind: "read" | "write", once: () => Promise<T>): Promise<T> {
  const { readAttemptsMax, writeAttemptsMax } = attempts.settings;
  const most = kind === "read" ? readAttemptsMax : writeAttemptsMax;
  let made = 0;
  let cause: unknown;
  const one = async () => {
    made += 1;
    try {
      return { value: await once() };
    } catch (error) {
      cause = error;
      throw error;
    }
  };
  const done = await insist(attempts, one, () => made < most && !attempts.closed());
  if (done !== undefined) return done.value;
  const executed = kind === "read" ? "no" : "maybe";
  throw runtimeErrors.UNAVAILABLE({ message: "The store did not answer.", executed, cause });
}
