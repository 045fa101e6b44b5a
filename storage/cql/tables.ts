// The tables of a keyspace, in steps from one version to the next, and what the keyspace is for: which cluster, and how
// many shards. Only what Cassandra 5 and ScyllaDB both understand.
//
// All tables use levelled compaction. Time windows are out of the question, for a stamp is not a time; and tiers of equal
// size need half of the disk free and leave an old bucket in many files, while history is read for ever.

import type { RegisterFamily } from "../registers/port.ts";

/** 10 days: a repair has to come round within it, and no hint may be older. */
const GRACE_S = 864_000;
/** A deleted wake row that comes back only wakes an actor that has nothing to do, so a day is plenty. */
const WAKE_GRACE_S = 86_400;

/** When a read asks the replica that its quorum can do without (docs/decisions/0023). */
const THIRD_REPLICA_AFTER = { small: "10ms", any: "50ms" } as const;

interface TableOptions {
  readonly order?: string;
  readonly graceS?: number;
  readonly rows?: keyof typeof THIRD_REPLICA_AFTER;
}

const table = (name: string, columns: string, comment: string, options: TableOptions = {}) => {
  const { order, graceS = GRACE_S, rows = "any" } = options;
  return (
    `CREATE TABLE IF NOT EXISTS ${name} (${columns}) WITH ` +
    (order === undefined ? "" : `CLUSTERING ORDER BY (${order}) AND `) +
    `comment = '${comment}' AND compaction = {'class': 'LeveledCompactionStrategy'} ` +
    `AND gc_grace_seconds = ${graceS} AND speculative_retry = '${THIRD_REPLICA_AFTER[rows]}'`
  );
};

const registers = (family: RegisterFamily, comment: string) =>
  table(family, "owner text, name text, value blob, PRIMARY KEY (owner, name)", comment);

/** Step i takes a keyspace from version i to i + 1. Steps are added, never changed. No name of a dropped column returns. */
export const steps: readonly (readonly string[])[] = [
  [
    table(
      "claims",
      "shard int, epoch int, owner text, PRIMARY KEY (shard, epoch, owner)",
      "who has claimed a shard; the highest epoch is its owner",
      { order: "epoch DESC, owner ASC", rows: "small" },
    ),
    table(
      "revocations",
      "owner text, shard int, epoch int, PRIMARY KEY (owner, shard)",
      "which shards a node incarnation has lost, and to which epoch",
      { rows: "small" }, // every promise waits for a read of a few of them
    ),
    table(
      "messages",
      "channel_id text, bucket int, message_id bigint, record blob, PRIMARY KEY ((channel_id, bucket), message_id)",
      "the log of a channel, the only truth; written with stamps of epochs only, never with a clock",
      { order: "message_id DESC" },
    ),
    registers("head", "of a channel: its snapshot, and how far it was fanned out"),
    registers("inbox", "of a user: a pointer a channel, and what was read and delivered"),
    registers("presence", "of a user: when last seen"),
    table(
      "wake",
      "shard int, epoch int, slot int, actor text, PRIMARY KEY (shard, epoch, slot, actor)",
      "actors with unfinished business, for the next owner of their shard",
      { graceS: WAKE_GRACE_S },
    ),
    table(
      "identity",
      "name text PRIMARY KEY, cluster_name text, shard_count int",
      "which cluster this keyspace belongs to; one row, written once",
    ),
  ],
];
