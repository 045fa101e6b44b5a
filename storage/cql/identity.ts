// Which cluster a keyspace belongs to, and for how many shards it was made: written once, by whoever opens it first, and
// compared by everybody else. Two clusters in one keyspace, or two counts of shards, would write each other's logs.

import { type Client, types } from "cassandra-driver";
import { storageErrors } from "../errors.ts";

export interface Identity {
  readonly clusterName: string;
  readonly shardCount: number;
}

/** Nothing here is fenced, so a condition is in its place. */
const SELECT = "SELECT cluster_name, shard_count FROM identity WHERE name = 'cluster'";
const INSERT = "INSERT INTO identity (name, cluster_name, shard_count) VALUES ('cluster', ?, ?) IF NOT EXISTS";

/** Rejects with CLUSTER_MISMATCH. */
export async function claimIdentity(driver: Client, keyspace: string, mine: Identity): Promise<void> {
  let found = await read(driver);
  if (found === undefined) {
    await driver.execute(INSERT, [mine.clusterName, mine.shardCount]);
    found = await read(driver); // another one may have been first
  }
  if (found?.clusterName === mine.clusterName && found.shardCount === mine.shardCount) return;
  const theirs = found ?? { clusterName: "", shardCount: 0 };
  throw storageErrors.CLUSTER_MISMATCH({
    message:
      `The keyspace ${keyspace} belongs to the cluster "${theirs.clusterName}" with ${theirs.shardCount} shards; ` +
      `this node is of "${mine.clusterName}" with ${mine.shardCount}.`,
    detail: { ...theirs },
  });
}

async function read(driver: Client): Promise<Identity | undefined> {
  const { rows } = await driver.execute(SELECT, [], { consistency: types.consistencies.localSerial });
  const row = rows[0];
  if (row === undefined) return undefined;
  return { clusterName: row.cluster_name as string, shardCount: row.shard_count as number };
}
