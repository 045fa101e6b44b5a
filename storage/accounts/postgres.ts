// Accounts on PostgreSQL, for any number of nodes at once.
//
// Transactions are READ COMMITTED, the engine's default: what has to be decided once is decided by one statement, by a unique
// key, or under the lock of a row that is taken first; sql.ts says where.

import { randomUUID } from "node:crypto";
import { Kysely, PostgresDialect, sql } from "kysely";
import type { Clock, Logger } from "../../runtime/index.ts";
import { accountErrors } from "./errors.ts";
import { createLeasedSnowflakes } from "./leased-snowflakes.ts";
import type { AccountStore } from "./port.ts";
import { atPlace } from "./postgres-errors.ts";
import { createPostgresPool, type PostgresAddress, placeOf } from "./postgres-pool.ts";
import { migrate, refuseNewer, schemaVersion, type Tables } from "./schema.ts";
import { type PostgresSettings, postgresDefaults } from "./settings.ts";
import { SqlAccounts } from "./sql.ts";
import { createWorkerLeases } from "./workers.ts";

export interface PostgresAccountsOptions extends PostgresAddress {
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings?: PostgresSettings;
}

/** Any number, the same in all versions: who applies the schema holds this lock of the database. */
const SCHEMA_LOCK = 1_835_099_745;

/**
 * Rejects within seconds, and says where: UNAVAILABLE, DATABASE_REFUSED (name, password, database, TLS), SCHEMA_MISSING,
 * SCHEMA_TOO_NEW, NO_FREE_WORKER.
 */
export async function openPostgresAccounts(options: PostgresAccountsOptions): Promise<AccountStore> {
  const { clock, log, settings = postgresDefaults } = options;
  const place = placeOf(options.url);
  const db = connect(options, settings);
  const leases = createWorkerLeases(db, randomUUID(), settings.workerLeaseMs);
  const ids = createLeasedSnowflakes({ clock, leases, leaseMs: settings.workerLeaseMs });
  try {
    await checkSchema(db);
    await warnOfLoss(db, log, place);
    await ids.open();
  } catch (thrown) {
    await db.destroy();
    throw atPlace(thrown, place);
  }
  return new SqlAccounts({
    db,
    clock,
    ids,
    async close() {
      // A number that could not be given back is free when its lease ends.
      await ids.close().catch((error: unknown) => log.warn({ place, error }, "the worker number was not given back"));
      await db.destroy();
    },
  });
}

/**
 * Brings the database to this version and gives the version that it had. Many may do so at once: they take turns. Rejects as
 * `openPostgresAccounts` does.
 */
export async function applyAccountsSchema(options: PostgresAccountsOptions): Promise<{ from: number; to: number }> {
  const { settings = postgresDefaults } = options;
  const patient = { ...settings, statementWithinMs: settings.schemaWithinMs, lockWithinMs: settings.schemaWithinMs };
  const db = connect(options, patient);
  try {
    const from = await db.connection().execute(async (connection) => {
      await sql`select pg_advisory_lock(${SCHEMA_LOCK})`.execute(connection); // let go with the connection
      return migrate(connection);
    });
    return { from, to: schemaVersion };
  } catch (thrown) {
    throw atPlace(thrown, placeOf(options.url));
  } finally {
    await db.destroy();
  }
}

function connect(options: PostgresAccountsOptions, settings: PostgresSettings): Kysely<Tables> {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: createPostgresPool({ ...options, settings }) }) });
}

/** In a cluster no node changes the tables by itself: others may be of another version. */
async function checkSchema(db: Kysely<Tables>): Promise<void> {
  const { rows } = await sql<{ there: boolean }>`select to_regclass('schema_version') is not null as there`.execute(db);
  const found =
    rows[0]?.there === true ? await db.selectFrom("schema_version").select("version").executeTakeFirst() : undefined;
  const version = found?.version ?? 0;
  refuseNewer(version);
  if (version === schemaVersion) return;
  throw accountErrors.SCHEMA_MISSING({
    message: `The accounts are of version ${version}, and this program needs ${schemaVersion}: run \`madang schema apply\`.`,
    detail: { found: version, known: schemaVersion },
  });
}

/** What this node acknowledges, the server has to keep. */
async function warnOfLoss(db: Kysely<Tables>, log: Logger, place: string): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select name from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'off'
  `.execute(db);
  if (rows.length === 0) return;
  log.warn({ place, off: rows.map(({ name }) => name) }, "PostgreSQL may lose what it has acknowledged");
}
