// The worker numbers, leased in PostgreSQL by its own clock. A number that was given back, or whose lease ended, rests as long
// as there are others.
//
// (W1) A number has one owner, and only its owner can raise its last tick. So whoever is late, for whatever reason and by
//      whichever clock, cannot reserve ticks of a number that somebody else has now.

import { type Kysely, sql } from "kysely";
import { accountErrors } from "./errors.ts";
import type { Tables } from "./schema.ts";

export interface LeasedWorker {
  readonly worker: number;
  /** No id of this number was minted above it, by whoever had it. */
  readonly lastTick: number;
}

export interface WorkerLeases {
  /** Rejects with NO_FREE_WORKER. */
  lease(): Promise<LeasedWorker>;
  /** (W1) Leases the number for as long again, and raises its last tick. False if it is somebody else's now. */
  extend(worker: number, lastTick: number): Promise<boolean>;
  giveBack(worker: number): Promise<void>;
}

/** The database's own clock, as it goes within a transaction too. */
const nowMs = sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`;

/** `owner` is unlike that of any other store that was ever opened. */
export function createWorkerLeases(db: Kysely<Tables>, owner: string, leaseMs: number): WorkerLeases {
  return {
    async lease() {
      // Many who ask at once skip what another is about to take.
      const { rows } = await sql<LeasedWorker>`
        update workers set owner = ${owner}, leased_until_ms = ${nowMs} + ${leaseMs}
        where worker = (
          select worker from workers where leased_until_ms <= ${nowMs}
          order by leased_until_ms, worker limit 1 for update skip locked
        )
        returning worker, last_tick as "lastTick"`.execute(db);
      const [leased] = rows;
      if (leased === undefined) throw accountErrors.NO_FREE_WORKER();
      return leased;
    },
    async extend(worker, lastTick) {
      const { rows } = await sql`
        update workers set leased_until_ms = ${nowMs} + ${leaseMs}, last_tick = greatest(last_tick, ${lastTick})
        where worker = ${worker} and owner = ${owner}
        returning worker`.execute(db);
      return rows.length > 0;
    },
    async giveBack(worker) {
      await sql`
        update workers set leased_until_ms = least(leased_until_ms, ${nowMs})
        where worker = ${worker} and owner = ${owner}`.execute(db);
    },
  };
}
