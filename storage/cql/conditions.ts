// Writes with a condition, for the few rows that are not fenced: what a keyspace is, and who changes its tables. They are
// slow, and two at once get into each other's way until one of them times out: it is of unknown outcome, and is done again.

import { type Client, types } from "cassandra-driver";
import { type Clock, pause } from "../../runtime/index.ts";
import { isForbidden } from "./connect.ts";

export interface Condition {
  readonly isApplied: boolean;
  /** What stood in its way. */
  readonly found: types.Row | undefined;
}

const CONDITIONAL = { serialConsistency: types.consistencies.localSerial };
const ATTEMPTS_MAX = 10;
const ATTEMPT_PAUSE_MS = 200;

export async function conditionally(
  driver: Client,
  clock: Clock,
  query: string,
  params: (string | number | null)[],
): Promise<Condition> {
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await driver.execute(query, params, CONDITIONAL);
      return { isApplied: answer.wasApplied(), found: answer.rows[0] };
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || isForbidden(error)) throw error;
      await pause(clock, ATTEMPT_PAUSE_MS * attempt);
    }
  }
}
