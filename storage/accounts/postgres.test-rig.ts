// For tests on a real PostgreSQL: a database of their own with a name by chance, dropped at the end.

import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll } from "vitest";

export interface TestDatabase {
  /** With the name and password of DATABASE_URL. */
  readonly url: string;
  readonly name: string;
  /** Behind the back of the stores. */
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Ends every connection but this one, as a restarted server does. Gives how many there were. */
  cutAll(): Promise<number>;
  /** Cuts all, and lets nobody in until what it gives is called: a server that is down. */
  takeAway(): Promise<() => Promise<void>>;
  /** Runs a statement in a transaction that stays open, with the locks that it took. Gives what ends it. */
  hold(text: string, values?: unknown[]): Promise<() => Promise<void>>;
  /** Removes all tables. */
  clear(): Promise<void>;
}

/** Makes a database before the tests of the file. */
export function useDatabase(): TestDatabase {
  const server = process.env.DATABASE_URL;
  if (server === undefined) throw new Error("DATABASE_URL names the PostgreSQL to test on");
  const name = `madang_test_${randomBytes(6).toString("hex")}`;
  const url = new URL(server);
  url.pathname = `/${name}`;
  const admin = new pg.Client({ connectionString: server });
  const inside = new pg.Client({ connectionString: url.toString() });

  beforeAll(async () => {
    await admin.connect();
    await admin.query(`create database ${name}`);
    await inside.connect();
  });
  afterAll(async () => {
    await inside.end();
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  });

  const cutAll = async () => {
    const { rows } = await inside.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()",
      [name],
    );
    return rows.length;
  };

  return {
    url: url.toString(),
    name,
    query: async (text, values = []) => (await inside.query(text, values)).rows as Record<string, unknown>[],
    cutAll,
    async takeAway() {
      await admin.query(`alter database ${name} allow_connections false`);
      await cutAll();
      return async () => void (await admin.query(`alter database ${name} allow_connections true`));
    },
    async hold(text, values = []) {
      const holder = new pg.Client({ connectionString: url.toString() });
      holder.on("error", () => undefined); // a test that failed before it let go
      await holder.connect();
      await holder.query("begin");
      await holder.query(text, values);
      return async () => {
        await holder.query("commit");
        await holder.end();
      };
    },
    async clear() {
      await inside.query("drop schema public cascade");
      await inside.query("create schema public");
    },
  };
}
