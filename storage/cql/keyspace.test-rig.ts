// A keyspace of its own for a suite of tests, on the ring of CQL_CONTACT_POINTS, dropped at the end. Making tables takes a
// ring seconds, and emptying them too: tests of one suite share them, each under names of its own.

import { randomBytes } from "node:crypto";
import { silentLogger, systemClock } from "../../runtime/index.ts";
import type { QuorumStore } from "../fence/port.ts";
import { QuorumFence } from "../fence/quorum.ts";
import type { Stores } from "../index.ts";
import { createFencedLogs } from "../log/fenced.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import { CqlClient } from "./client.ts";
import { type Connected, connect } from "./connect.ts";
import { createCqlQuorumStore } from "./quorum-store.ts";
import { applyCqlSchema } from "./schema.ts";
import { openCqlStores } from "./stores.ts";

export const contactPoints = (process.env.CQL_CONTACT_POINTS ?? "127.0.0.1:9042").split(",");
export const clock = systemClock;
export const newKeyspace = () => `madang_test_${randomBytes(6).toString("hex")}`;

const CHANGE = { prepare: false, readTimeout: 60_000 };

export interface TestKeyspace {
  readonly keyspace: string;
  readonly connected: Connected;
  readonly client: CqlClient;
  readonly store: QuorumStore;
  open(owner: string, settings?: Partial<StorageSettings>): Promise<Stores>;
  drop(): Promise<void>;
}

export async function makeKeyspace(): Promise<TestKeyspace> {
  const keyspace = newKeyspace();
  await applyCqlSchema({ contactPoints, keyspace, clock });
  const connected = await connect({ contactPoints, keyspace }, keyspace, storageDefaults, silentLogger);
  const client = new CqlClient(connected, storageDefaults, systemClock);
  return {
    keyspace,
    connected,
    client,
    store: createCqlQuorumStore(client, storageDefaults),
    open: (owner, settings = {}) =>
      openCqlStores({ contactPoints, keyspace, owner, clusterName: "test", shardCount: 64, clock, settings }),
    async drop() {
      await connected.driver.execute(`DROP KEYSPACE ${keyspace}`, [], CHANGE);
      await client.close();
    },
  };
}

/** Drops what a test made without makeKeyspace. */
export async function dropKeyspace(keyspace: string): Promise<void> {
  const { driver } = await connect({ contactPoints, keyspace }, undefined, storageDefaults, silentLogger);
  await driver.execute(`DROP KEYSPACE IF EXISTS ${keyspace}`, [], CHANGE);
  await driver.shutdown();
}

const SHARDS_A_SCOPE = 64;
let scopes = 0;

/** The same store, with shards, channels and owners that no other test has. */
export function scoped(store: QuorumStore, scope = ++scopes): QuorumStore {
  const shardOf = (shard: number) => scope * SHARDS_A_SCOPE + shard;
  const nameOf = (name: string) => `${scope}/${name}`;
  const claimOf = <T extends { readonly owner: string }>(claim: T) => ({ ...claim, owner: nameOf(claim.owner) });
  return {
    insertClaim: (shard, claim) => store.insertClaim(shardOf(shard), claimOf(claim)),
    async readClaims(shard) {
      const claims = await store.readClaims(shardOf(shard));
      return claims.map(({ epoch, owner }) => ({ epoch, owner: owner.slice(nameOf("").length) }));
    },
    deleteClaims: (shard, claims) => store.deleteClaims(shardOf(shard), claims.map(claimOf)),
    insertRevocation: (owner, shard, epoch) => store.insertRevocation(nameOf(owner), shardOf(shard), epoch),
    async readRevocations(owner, shards) {
      const found = await store.readRevocations(nameOf(owner), shards.map(shardOf));
      return new Map([...found].map(([shard, epoch]) => [shard - shardOf(0), epoch]));
    },
    writeCells: (batch) => store.writeCells({ ...batch, channelId: nameOf(batch.channelId) }),
    readCells: (channelId, ...range) => store.readCells(nameOf(channelId), ...range),
    isFull: () => store.isFull(),
  };
}

/** A node's fence and logs over a store. */
export function nodeOver(store: QuorumStore, owner: string) {
  const identityOf = () => undefined;
  const fence = new QuorumFence({ store, owner, clock });
  return { fence, logs: createFencedLogs({ store, fence, clock, identityOf }) };
}

export function newScope(): number {
  scopes += 1;
  return scopes;
}
