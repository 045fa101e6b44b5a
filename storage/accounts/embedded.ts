// Accounts on the embedded SQL engine: one file, write-ahead log, synced with every commit.
//
// The engine is synchronous, so a commit holds the event loop for the time of one sync (a quarter of a millisecond on the
// disk that this was measured on). Accounts are written when somebody signs up, logs in or refreshes, never on the way of a
// message; a thread of its own would cost more to every query than it saves.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Kysely, SqliteDialect } from "kysely";
import Database from "libsql";
import type { Clock } from "../../runtime/index.ts";
import type { AccountStore } from "./port.ts";
import { migrate, type Tables } from "./schema.ts";
import { createSnowflakes, type TickStore } from "./snowflake.ts";
import { SqlAccounts } from "./sql.ts";

export interface EmbeddedAccountsOptions {
  /** Made if it is missing; undefined keeps everything in memory. */
  readonly folder: string | undefined;
  readonly clock: Clock;
}

/** How long one connection waits for the lock of another. */
const BUSY_TIMEOUT_MS = 5_000;
/** The one worker number of a node without a cluster. */
const WORKER = 0;

export async function openEmbeddedAccounts({ folder, clock }: EmbeddedAccountsOptions): Promise<AccountStore> {
  if (folder !== undefined) mkdirSync(folder, { recursive: true });
  const database = new Database(folder === undefined ? ":memory:" : join(folder, "accounts.db"));
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.pragma("foreign_keys = ON");
  database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) });
  try {
    await migrate(db);
    const ids = await createSnowflakes(clock, WORKER, ticksIn(db));
    return new SqlAccounts({ db, clock, ids, close: () => db.destroy() });
  } catch (error) {
    await db.destroy();
    throw error;
  }
}

function ticksIn(db: Kysely<Tables>): TickStore {
  return {
    async lastTick() {
      const row = await db.selectFrom("counters").select("value").where("name", "=", "last_tick").executeTakeFirst();
      return row?.value ?? 0;
    },
    async reserve(tick) {
      await db
        .insertInto("counters")
        .values({ name: "last_tick", value: tick })
        .onConflict((conflict) => conflict.column("name").doUpdateSet({ value: tick }))
        .execute();
    },
  };
}
