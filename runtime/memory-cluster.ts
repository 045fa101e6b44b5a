// Several nodes in one process: the three in-memory adapters together. For tests and the simulator; with one node it is
// also what `make run` stands on.

import type { Clock } from "./clock.ts";
import { createMemoryMembership } from "./membership/memory.ts";
import { type Membership, newMember, type Role } from "./membership/port.ts";
import { createMemoryPlacement } from "./placement/memory.ts";
import type { Placement } from "./placement/port.ts";
import { createMemoryNetwork } from "./transport/memory.ts";
import type { Transport } from "./transport/port.ts";

export interface MemoryClusterOptions {
  readonly clock: Clock;
  readonly shardCount: number;
  readonly firstEpoch?: number;
  readonly networkDelayMs?: number;
  readonly hintDelayMs?: number;
}

export interface Seat {
  readonly transport: Transport;
  readonly membership: Membership;
  readonly placement: Placement;
}

export interface MemoryCluster {
  join(nodeId: string, roles: readonly Role[]): Seat;
  /** A place on the network for somebody who is no member. */
  intrude(nodeId: string): Transport;
  /** Hands all shards out, evenly. Call it when the nodes stand. */
  spread(): void;
  move(shard: number, to: string): Promise<void>;
  seize(shard: number, to: string): void;
  cut(from: string, to: string): void;
  heal(): void;
  request(nodeId: string, service: string, bytes: Uint8Array): void;
  /** As SIGKILL and the cluster's noticing it. */
  kill(nodeId: string): void;
}

export function createMemoryCluster(options: MemoryClusterOptions): MemoryCluster {
  const { clock, shardCount, firstEpoch = 1, networkDelayMs = 0, hintDelayMs = 0 } = options;
  const network = createMemoryNetwork({ clock, delayMs: networkDelayMs });
  const membership = createMemoryMembership();
  const placement = createMemoryPlacement({ clock, shardCount, firstEpoch, hintDelayMs });
  return {
    join: (nodeId, roles) => ({
      transport: network.join(nodeId),
      membership: membership.join(newMember(nodeId, roles)),
      placement: placement.join(nodeId),
    }),
    intrude: (nodeId) => network.join(nodeId),
    spread: placement.spread,
    move: placement.move,
    seize: placement.seize,
    cut: network.cut,
    heal: network.heal,
    request: network.request,
    kill(nodeId) {
      network.kill(nodeId);
      membership.leave(nodeId);
      placement.leave(nodeId);
    },
  };
}
