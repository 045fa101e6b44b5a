// The tables of accounts, and the steps that lead to them. The same for the embedded engine and for PostgreSQL: nothing here is
// known to one of them only.

import { type Generated, type Kysely, sql } from "kysely";
import { storageErrors } from "../errors.ts";

export interface Tables {
  schema_version: { version: number };
  counters: { name: string; value: number };
  users: { id: number; name: string; display_name: string; password_hash: string; created_ms: number };
  devices: { id: number; user_id: number; name: string; created_ms: number; last_seen_ms: number };
  log_ins: {
    id: string;
    user_id: number;
    device_id: number;
    refresh_hash: string;
    expires_ms: number;
    closed: Generated<number>;
  };
  used_tokens: { refresh_hash: string; login_id: string; expires_ms: number };
  friend_requests: { from_id: number; to_id: number; created_ms: number };
  friends: { user_id: number; friend_id: number; since_ms: number };
  answers: {
    scope: string;
    key: string;
    request_digest: string;
    status: number;
    body: string;
    created_ms: number;
  };
  /** Numbers that ids carry. Leased in a cluster; the embedded engine has one node, and no use for them. */
  workers: { worker: number; owner: string; leased_until_ms: number; last_tick: number };
  attempts: { who: string; count: number; since_ms: number };
  secrets: { name: string; value: string };
}

type Step = (db: Kysely<Tables>) => Promise<void>;

/** In order; each runs once. Never changed after it was released: a new step is added. */
const steps: readonly Step[] = [
  async (db) => {
    await db.schema
      .createTable("counters")
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("value", "bigint", (column) => column.notNull())
      .execute();
    await db.schema
      .createTable("users")
      .addColumn("id", "bigint", (column) => column.primaryKey())
      .addColumn("name", "text", (column) => column.notNull().unique())
      .addColumn("display_name", "text", (column) => column.notNull())
      .addColumn("password_hash", "text", (column) => column.notNull())
      .addColumn("created_ms", "bigint", (column) => column.notNull())
      .execute();
    await db.schema
      .createTable("devices")
      .addColumn("id", "bigint", (column) => column.primaryKey())
      .addColumn("user_id", "bigint", (column) => column.notNull().references("users.id"))
      .addColumn("name", "text", (column) => column.notNull())
      .addColumn("created_ms", "bigint", (column) => column.notNull())
      .addColumn("last_seen_ms", "bigint", (column) => column.notNull())
      .execute();
    await db.schema.createIndex("devices_of_user").on("devices").column("user_id").execute();
    await db.schema
      .createTable("log_ins")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("user_id", "bigint", (column) => column.notNull().references("users.id"))
      .addColumn("device_id", "bigint", (column) => column.notNull().references("devices.id"))
      .addColumn("refresh_hash", "text", (column) => column.notNull().unique())
      .addColumn("expires_ms", "bigint", (column) => column.notNull())
      .addColumn("closed", "integer", (column) => column.notNull().defaultTo(0))
      .execute();
    await db.schema.createIndex("log_ins_of_device").on("log_ins").column("device_id").execute();
    await db.schema
      .createTable("used_tokens")
      .addColumn("refresh_hash", "text", (column) => column.primaryKey())
      .addColumn("login_id", "text", (column) => column.notNull().references("log_ins.id"))
      .addColumn("expires_ms", "bigint", (column) => column.notNull())
      .execute();
    await db.schema.createIndex("used_tokens_by_expiry").on("used_tokens").column("expires_ms").execute();
    await db.schema
      .createTable("friend_requests")
      .addColumn("from_id", "bigint", (column) => column.notNull().references("users.id"))
      .addColumn("to_id", "bigint", (column) => column.notNull().references("users.id"))
      .addColumn("created_ms", "bigint", (column) => column.notNull())
      .addPrimaryKeyConstraint("friend_requests_key", ["from_id", "to_id"])
      .execute();
    await db.schema.createIndex("friend_requests_to").on("friend_requests").column("to_id").execute();
    await db.schema
      .createTable("friends")
      .addColumn("user_id", "bigint", (column) => column.notNull().references("users.id"))
      .addColumn("friend_id", "bigint", (column) => column.notNull().references("users.id"))
      .addColumn("since_ms", "bigint", (column) => column.notNull())
      .addPrimaryKeyConstraint("friends_key", ["user_id", "friend_id"])
      .execute();
    await db.schema
      .createTable("answers")
      .addColumn("scope", "text", (column) => column.notNull())
      .addColumn("key", "text", (column) => column.notNull())
      .addColumn("request_digest", "text", (column) => column.notNull())
      .addColumn("status", "integer", (column) => column.notNull())
      .addColumn("body", "text", (column) => column.notNull())
      .addColumn("created_ms", "bigint", (column) => column.notNull())
      .addPrimaryKeyConstraint("answers_key", ["scope", "key"])
      .execute();
  },
  // Old answers are forgotten by their age, whoever's they are.
  async (db) => {
    await db.schema.createIndex("answers_by_age").on("answers").column("created_ms").execute();
  },
  // What several nodes have to know together: who mints with which number, attempts to log in, and what tokens are signed with.
  async (db) => {
    await db.schema
      .createTable("workers")
      .addColumn("worker", "integer", (column) => column.primaryKey())
      .addColumn("owner", "text", (column) => column.notNull())
      .addColumn("leased_until_ms", "bigint", (column) => column.notNull())
      .addColumn("last_tick", "bigint", (column) => column.notNull())
      .execute();
    await sql`
      insert into workers (worker, owner, leased_until_ms, last_tick)
      with recursive numbers (worker) as (select 0 union all select worker + 1 from numbers where worker < 1023)
      select worker, '', 0, 0 from numbers`.execute(db);
    await db.schema
      .createTable("attempts")
      .addColumn("who", "text", (column) => column.primaryKey())
      .addColumn("count", "integer", (column) => column.notNull())
      .addColumn("since_ms", "bigint", (column) => column.notNull())
      .execute();
    await db.schema.createIndex("attempts_by_age").on("attempts").column("since_ms").execute();
    await db.schema
      .createTable("secrets")
      .addColumn("name", "text", (column) => column.primaryKey())
      .addColumn("value", "text", (column) => column.notNull())
      .execute();
  },
];

/** The version that this program knows. */
export const schemaVersion = steps.length;

/** Rejects when the tables are of a newer version than this program knows. */
export function refuseNewer(version: number): void {
  if (version <= schemaVersion) return;
  throw storageErrors.SCHEMA_TOO_NEW({
    message: `The accounts are of version ${version}, and this program knows ${schemaVersion}: start a newer one.`,
    detail: { found: version, known: schemaVersion },
  });
}

/** Brings the tables to this version, and gives the one that they had. Rejects when they are of a newer one. */
export async function migrate(db: Kysely<Tables>): Promise<number> {
  await sql`create table if not exists schema_version (version integer not null)`.execute(db);
  const found = await db.selectFrom("schema_version").select("version").executeTakeFirst();
  const version = found?.version ?? 0;
  refuseNewer(version);
  for (let next = version; next < steps.length; next++) {
    await db.transaction().execute(async (transaction) => {
      await (steps[next] as Step)(transaction);
      if (next === 0) await transaction.insertInto("schema_version").values({ version: 1 }).execute();
      else
        await transaction
          .updateTable("schema_version")
          .set({ version: next + 1 })
          .execute();
    });
  }
  return version;
}
