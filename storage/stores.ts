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
  /** Only where the data is on a ring of other machines. */
  readonly ring?: RingStats;
}

/** Counters since the start, but for the first four, which say how it is now. */
export interface RingStats {
  /** That the ring has in this data centre. */
  readonly members: number;
  /** Of those, the ones that requests go to. */
  readonly membersReached: number;
  readonly inFlight: number;
  /** Behind those in flight. */
  readonly waiting: number;
  readonly requests: number;
  /** Writes that shared a request with others, of other partitions. */
  readonly writesTogether: number;
  /** No answer of a coordinator, or of enough replicas, in time. */
  readonly timeOuts: number;
  readonly errors: number;
  /** Refused because too much waited. */
  readonly refused: number;
  /** Requests that were asked of a second coordinator, for the first was slow. */
  readonly speculations: number;
  readonly verifyReads: number;
  /** Tenures that the fence ended. */
  readonly tenuresLost: number;
  readonly batches: number;
  /** In batches; divided by their number, how well the group commit works. */
  readonly batchRows: number;
}
