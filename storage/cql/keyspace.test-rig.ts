// A keyspace of its own for a suite of tests, on the ring of CQL_CONTACT_POINTS, dropped at the end.

import { randomBytes } from "node:crypto";
import { systemClock } from "../../runtime/index.ts";
import type { Stores } from "../index.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import { type Connected, connect } from "./connect.ts";
import { applyCqlSchema } from "./schema.ts";
import { openCqlStores } from "./stores.ts";

export const contactPoints = (process.env.CQL_CONTACT_POINTS ?? "127.0.0.1:9042").split(",");
export const settings: StorageSettings = storageDefaults;
export const clock = systemClock;

export const newKeyspace = () => `madang_test_${randomBytes(6).toString("hex")}`;

export interface TestKeyspace {
  readonly keyspace: string;
  readonly connected: Connected;
  /** Nodes of one life each; `empty` first takes all rows away. */
  open(owner: string, options?: { readonly settings?: Partial<StorageSettings> }): Promise<Stores>;
  empty(): Promise<void>;
  drop(): Promise<void>;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const TABLES = ["claims", "revocations", "messages", "head", "inbox", "presence", "wake"];

export async function makeKeyspace(): Promise<TestKeyspace> {
  const keyspace = newKeyspace();
  await applyCqlSchema({ contactPoints, keyspace, clock });
  const connected = await connect({ contactPoints, keyspace }, keyspace, settings, silent);
  const { driver } = connected;
  const change = { prepare: false, readTimeout: 60_000 };
  return {
    keyspace,
    connected,
    open: (owner, options) =>
      openCqlStores({ contactPoints, keyspace, owner, clusterName: "test", shardCount: 64, clock, ...options }),
    async empty() {
      for (const table of TABLES) await driver.execute(`TRUNCATE ${table}`, [], change);
    },
    async drop() {
      await driver.execute(`DROP KEYSPACE ${keyspace}`, [], change);
      await driver.shutdown();
    },
  };
}
