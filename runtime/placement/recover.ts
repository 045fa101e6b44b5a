// What a new coordinator makes of the table that it reads and of what the members tell. Consul's data can be set back by an
// operator who restores a snapshot; epochs must not go back with it, for two owners of one (shard, epoch) would be the end of
// the fence's peace.
//
// (R1) If anybody knows of more than the table says, every epoch rises above all that is known, by a gap that covers what
//      only a node knows which did not answer.

import type { ShardOwner } from "./port.ts";
import { emptyTable, makeTable, type ShardTable } from "./table.ts";

export interface Report {
  readonly nodeId: string;
  readonly version: number;
  readonly digest: number;
  /** The highest epoch seen, a shard each. */
  readonly epochs: readonly number[];
  /** Shards under which the node acts, with their epochs. */
  readonly held: ReadonlyMap<number, number>;
}

export interface Recovered {
  readonly table: ShardTable;
  /** Nobody knew of more, so the table stands as it was read. */
  readonly agreed: boolean;
}

export function recoverTable(
  term: number,
  stored: ShardTable | undefined,
  reports: readonly Report[],
  shardCount: number,
  epochGap: number,
): Recovered {
  const read = stored ?? emptyTable(term, shardCount);
  const ahead = reports.some(
    (report) =>
      report.version > read.version ||
      (report.version === read.version && report.version > 0 && report.digest !== read.digest) ||
      read.owners.some(({ epoch }, shard) => (report.epochs[shard] ?? 0) > epoch),
  );
  if (!ahead) return { table: read, agreed: true };
  const version = Math.max(read.version, ...reports.map((report) => report.version));
  const owners = read.owners.map((owner, shard): ShardOwner => {
    const holder = highestHolder(reports, shard);
    const seen = Math.max(owner.epoch, ...reports.map((report) => report.epochs[shard] ?? 0));
    const nodeId = holder !== undefined && holder.epoch > owner.epoch ? holder.nodeId : owner.nodeId;
    return { nodeId, epoch: seen + epochGap };
  });
  return { table: makeTable(term, version, owners), agreed: false };
}

/** Who acts for the shard keeps it, if the table that was read is older than that. */
function highestHolder(reports: readonly Report[], shard: number): ShardOwner | undefined {
  let highest: ShardOwner | undefined;
  for (const { nodeId, held } of reports) {
    const epoch = held.get(shard);
    if (epoch !== undefined && epoch > (highest?.epoch ?? 0)) highest = { nodeId, epoch };
  }
  return highest;
}
