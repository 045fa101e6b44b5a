// Everything that one node keeps its data in, whatever is behind it.

import type { ShardFence } from "../runtime/index.ts";
import type { ChannelLogStore } from "./log/port.ts";
import type { RegisterStore } from "./registers/port.ts";
import type { WakeList } from "./wake/port.ts";

export interface Stores {
  readonly logs: ChannelLogStore;
  readonly registers: RegisterStore;
  readonly wake: WakeList;
  readonly fence: ShardFence;
  /** Rises by one each time the data is opened. A placement without servers uses it as the epoch of every shard. */
  readonly bootEpoch: number;
  stats(): StoreStats;
  /** Keeps what waits, if the disk takes it, and lets go of the data. */
  close(): Promise<void>;
}

/** Counters since the start, but for `waiting…` and `held…`, which say how it is now. */
export interface StoreStats {
  readonly commits: number;
  readonly failedCommits: number;
  readonly writes: number;
  readonly bytes: number;
  readonly waitingWrites: number;
  readonly waitingBytes: number;
  /** Kept, and still held in memory until it lies where it is read from. */
  readonly heldBytes: number;
}
