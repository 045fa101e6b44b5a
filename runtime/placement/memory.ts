// Placement inside one process: a table that is spread evenly, moved by hand, and told to each node's own copy.

import type { Clock } from "../clock.ts";
import { pause } from "../clock.ts";
import type { Placement, PlacementEvents, ShardOwner } from "./port.ts";

export interface MemoryPlacement {
  join(nodeId: string): Placement;
  /** Spreads all shards evenly over the nodes that have joined and hands them out. */
  spread(): void;
  /** Planned: hand-off first. Resolves when the new owner has been told. */
  move(shard: number, to: string): Promise<void>;
  /** Unplanned: the new owner is told at once, the old one is not asked. */
  seize(shard: number, to: string): void;
  /** The node is gone: its shards go to the others. */
  leave(nodeId: string): void;
}

export interface MemoryPlacementOptions {
  readonly clock: Clock;
  readonly shardCount: number;
  /** Of every shard at the first spread. */
  readonly firstEpoch: number;
  /** How late the other nodes learn of a change. */
  readonly hintDelayMs?: number;
  /** After so long a hand-off goes on without its old owner. */
  readonly handoffMs?: number;
}

interface View {
  readonly table: (ShardOwner | undefined)[];
  events: PlacementEvents | undefined;
}

export function createMemoryPlacement(options: MemoryPlacementOptions): MemoryPlacement {
  const { clock, shardCount, firstEpoch, hintDelayMs = 0, handoffMs = 20_000 } = options;
  const table: (ShardOwner | undefined)[] = new Array(shardCount).fill(undefined);
  const views = new Map<string, View>();

  const give = (shard: number, nodeId: string, epochAtLeast: number) => {
    const before = table[shard];
    const epoch = Math.max((before?.epoch ?? firstEpoch - 1) + 1, epochAtLeast);
    const owner: ShardOwner = { nodeId, epoch };
    table[shard] = owner;
    for (const [id, view] of views) {
      const learn = () => {
        const known = view.table[shard];
        if (known !== undefined && known.epoch >= epoch) return;
        view.table[shard] = owner;
        if (id === nodeId) view.events?.onAssigned({ shard, epoch }).catch(() => undefined);
        else if (known?.nodeId === id) view.events?.onRevoked({ shard, epoch: known.epoch });
        view.events?.onOwnersChanged([shard]);
      };
      if (id === nodeId || hintDelayMs === 0) learn();
      else clock.after(hintDelayMs, learn);
    }
  };

  return {
    join(nodeId) {
      const view: View = { table: [...table], events: undefined };
      views.set(nodeId, view);
      return {
        open(events) {
          view.events = events;
        },
        ownerOf: (shard) => view.table[shard],
        reportLost({ shard, epoch }, highestEpoch) {
          const now = table[shard];
          if (now?.nodeId === nodeId && now.epoch === epoch) give(shard, nodeId, highestEpoch + 1);
        },
      };
    },
    spread() {
      const nodes = [...views.keys()];
      for (let shard = 0; shard < shardCount; shard++) give(shard, nodes[shard % nodes.length] as string, firstEpoch);
    },
    async move(shard, to) {
      const from = table[shard];
      const leaving = from && views.get(from.nodeId)?.events?.onHandoff({ shard, epoch: from.epoch });
      if (leaving !== undefined) await Promise.race([leaving, pause(clock, handoffMs)]);
      give(shard, to, 0);
    },
    seize: (shard, to) => give(shard, to, 0),
    leave(nodeId) {
      views.delete(nodeId);
      const rest = [...views.keys()];
      if (rest.length === 0) return;
      for (let shard = 0; shard < shardCount; shard++) {
        if (table[shard]?.nodeId === nodeId) give(shard, rest[shard % rest.length] as string, 0);
      }
    },
  };
}
