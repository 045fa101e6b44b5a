// Which cluster a keyspace belongs to, and for how many shards it was made: written once, by whoever opens it first, and
// compared by everybody else. Two clusters in one keyspace, or two counts of shards, would write each other's logs.

import type { Client, types } from "cassandra-driver";
import type { Clock } from "../../runtime/index.ts";
import { storageErrors } from "../errors.ts";
import { conditionally } from "./conditions.ts";

export interface Identity {
  readonly clusterName: string;
  readonly shardCount: number;
}

const SELECT = "SELECT cluster_name, shard_count FROM identity WHERE name = 'cluster'";
const INSERT = "INSERT INTO identity (name, cluster_name, shard_count) VALUES ('cluster', ?, ?) IF NOT EXISTS";

/** Rejects with CLUSTER_MISMATCH. */
export async function claimIdentity(driver: Client, clock: Clock, keyspace: string, mine: Identity): Promise<void> {
  const { rows } = await driver.execute(SELECT);
  const theirs = identityOf(rows[0] ?? (await claim(driver, clock, mine)));
  if (theirs === undefined) return;
  if (theirs.clusterName === mine.clusterName && theirs.shardCount === mine.shardCount) return;
  throw storageErrors.CLUSTER_MISMATCH({
    message:
      `The keyspace ${keyspace} belongs to the cluster "${theirs.clusterName}" with ${theirs.shardCount} shards; ` +
      `this node is of "${mine.clusterName}" with ${mine.shardCount}.`,
    detail: { ...theirs },
  });
}

/** The row of whoever was first; undefined when it was this node. */
async function claim(driver: Client, clock: Clock, mine: Identity): Promise<types.Row | undefined> {
  const { isApplied, found } = await conditionally(driver, clock, INSERT, [mine.clusterName, mine.shardCount]);
  return isApplied ? undefined : found;
}

/** A node that may read and not write would take shards and serve none. Nothing is changed: no such row is ever there. */
export async function assertMayWrite(driver: Client, clock: Clock, owner: string): Promise<void> {
  await conditionally(driver, clock, "DELETE FROM identity WHERE name = ? IF EXISTS", [`permission of ${owner}`]);
}

function identityOf(row: types.Row | undefined): Identity | undefined {
  if (row === undefined) return undefined;
  return { clusterName: row.cluster_name as string, shardCount: row.shard_count as number };
}
