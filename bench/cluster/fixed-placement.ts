// A cluster in which one node owns all shards and nobody comes or goes.

import { type Membership, newMember, type Placement } from "../../runtime/index.ts";

const EPOCH = 1;

/** As seen from any node: those that are not the owner are never given anything. */
export function fixedPlacement(nodeId: string, owner: string, shardCount: number): Placement {
  return {
    open(events) {
      if (nodeId !== owner) return;
      // When the node that opens it stands.
      queueMicrotask(() => {
        for (let shard = 0; shard < shardCount; shard++)
          events.onAssigned({ shard, epoch: EPOCH }).catch(() => undefined);
      });
    },
    ownerOf: () => ({ nodeId: owner, epoch: EPOCH }),
    reportLost() {},
  };
}

export const fixedMembership = (owner: string): Membership => ({
  members: () => [newMember(owner, ["actors"])],
  knows: () => true,
  onLeft() {},
});
