// Which node owns which shard. A hint for speed: safety is the fence's. It promises one thing only: it never gives the same
// (shard, epoch) to two nodes.

import type { Tenure } from "../fence.ts";

export interface ShardOwner {
  readonly nodeId: string;
  readonly epoch: number;
}

export interface PlacementEvents {
  /** This node owns the shard from now on: resolve when it serves it, reject when it does not come to that. */
  onAssigned(tenure: Tenure): Promise<void>;
  /** The shard is about to leave: resolve when nothing of it runs here any more. */
  onHandoff(tenure: Tenure): Promise<void>;
  /** The shard is gone already. */
  onRevoked(tenure: Tenure): void;
  /** These shards have other owners, or the same at a higher epoch: what their actors were sending may be lost. */
  onOwnersChanged(shards: readonly number[]): void;
}

export interface Placement {
  open(events: PlacementEvents): void;
  /** As far as this node knows. */
  ownerOf(shard: number): ShardOwner | undefined;
  /** This node found out that it does not own the shard: the next owner gets an epoch above `highestEpoch`. */
  reportLost(tenure: Tenure, highestEpoch: number): void;
}
