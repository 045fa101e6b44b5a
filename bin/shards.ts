// `madang shards`: who owns what. A summary by node; every shard with --all; one by its number.

import { parseArgs } from "node:util";
import type { ClusterState, ShardOwner } from "../runtime/index.ts";
import { clusterErrors } from "../runtime/index.ts";
import { lookAtCluster, runCommand } from "./cluster.ts";
import { columns } from "./columns.ts";

const usage = "usage: madang shards [SHARD | --all]\n";

export function shards(args: readonly string[]): Promise<void> {
  return runCommand("shards", usage, async () => {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { all: { type: "boolean" } },
    });
    if (positionals.length > 1) return undefined;
    const shard = positionals[0] === undefined ? undefined : Number(positionals[0]);
    if (shard !== undefined && (!Number.isInteger(shard) || shard < 0)) return undefined;
    return describe(await lookAtCluster(), shard ?? (values.all === true ? "all" : "summary"));
  });
}

export function describe({ table, members, shardCount }: ClusterState, which: number | "all" | "summary"): string {
  if (table === undefined) return "no table has been written yet\n";
  const listed = new Set(members.map(({ nodeId }) => nodeId));
  const named = ({ nodeId }: ShardOwner) =>
    nodeId === "" ? "nobody" : listed.has(nodeId) ? nodeId : `${nodeId} (not listed)`;
  if (which === "summary") {
    const epochsOf = new Map<string, number[]>();
    for (const owner of table.owners) {
      const epochs = epochsOf.get(named(owner)) ?? [];
      epochsOf.set(named(owner), [...epochs, owner.epoch]);
    }
    const rows = [...epochsOf]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([node, epochs]) => [node, String(epochs.length), `${Math.min(...epochs)} to ${Math.max(...epochs)}`]);
    return `${columns([["NODE", "SHARDS", "EPOCHS"], ...rows])}table ${table.version} of term ${table.term}\n`;
  }
  if (which !== "all" && which >= shardCount) {
    throw clusterErrors.NO_SUCH_SHARD({ message: `the cluster has shards 0 to ${shardCount - 1}` });
  }
  const rows = table.owners.map((owner, shard) => [String(shard), named(owner), String(owner.epoch)]);
  return columns([["SHARD", "OWNER", "EPOCH"], ...(which === "all" ? rows : [rows[which] as string[]])]);
}
