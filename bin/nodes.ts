// `madang nodes`: who is in the cluster.

import { parseArgs } from "node:util";
import type { ClusterState } from "../runtime/index.ts";
import { lookAtCluster, runCommand } from "./cluster.ts";
import { columns } from "./columns.ts";

const usage = "usage: madang nodes\n";

export function nodes(args: readonly string[]): Promise<void> {
  return runCommand("nodes", usage, async () => {
    parseArgs({ args: [...args], options: {} });
    return describe(await lookAtCluster());
  });
}

export function describe({ members, table, coordinator, shardCount }: ClusterState): string {
  const shardsOf = (nodeId: string) => table?.owners.filter((owner) => owner.nodeId === nodeId).length ?? 0;
  const rows = members.map(({ nodeId, roles, status, version, region, sessions, sessionsMax }) => [
    `${nodeId}${nodeId === coordinator.nodeId ? " *" : ""}`,
    roles.join(","),
    status,
    version || "-",
    region || "-",
    roles.includes("actors") ? String(shardsOf(nodeId)) : "-",
    roles.includes("gateway") ? `${sessions}/${sessionsMax}` : "-",
  ]);
  const listed = new Set(members.map(({ nodeId }) => nodeId));
  const orphans = table?.owners.filter(({ nodeId }) => !listed.has(nodeId)).length ?? shardCount;
  const lead = listed.has(coordinator.nodeId)
    ? `* coordinator, term ${coordinator.term}`
    : `no coordinator; the last was ${coordinator.nodeId || "nobody"}, term ${coordinator.term}`;
  return [
    columns([["NODE", "ROLES", "STATUS", "VERSION", "REGION", "SHARDS", "SESSIONS"], ...rows]),
    `${lead}; table ${table?.version ?? 0}\n`,
    orphans > 0 ? `${orphans} of ${shardCount} shards belong to no node that is listed\n` : "",
  ].join("");
}
