// What membership and placement count, for the metrics.

import { type DropReason, dropReasons } from "./messages.ts";

export interface PlacementStats {
  term: number;
  version: number;
  /** Shards that this node owns by its table. */
  owned: number;
  /** The highest one in its table: by how much it rises, shards changed hands. */
  highestEpoch: number;
  members: number;
  /** 1 while this node is the coordinator. */
  leading: number;
  /** 1 while the lease of this node is over. */
  leaseOver: number;
  /** As coordinator: shards that went to another node, by why. */
  moves: { orphans: number; handoffs: number; overdue: number; forced: number; lost: number };
  /** As coordinator: planned hand-offs, from the first request to the old owner until the new one serves the shard. */
  handoffMs: { count: number; sum: number; max: number };
  /** Nodes that this one has begun to suspect. */
  suspicions: number;
  elections: number;
  /** Tables that had to be made anew above what was known. */
  lifts: number;
  casConflicts: number;
  consulErrors: number;
  /** Tables in Consul that could not be read. */
  corrupt: number;
  sessionsRemade: number;
  dropped: Record<DropReason, number>;
}

export function newStats(): PlacementStats {
  return {
    term: 0,
    version: 0,
    owned: 0,
    highestEpoch: 0,
    members: 0,
    leading: 0,
    leaseOver: 0,
    moves: { orphans: 0, handoffs: 0, overdue: 0, forced: 0, lost: 0 },
    handoffMs: { count: 0, sum: 0, max: 0 },
    suspicions: 0,
    elections: 0,
    lifts: 0,
    casConflicts: 0,
    consulErrors: 0,
    corrupt: 0,
    sessionsRemade: 0,
    dropped: Object.fromEntries(dropReasons.map((reason) => [reason, 0])) as Record<DropReason, number>,
  };
}
