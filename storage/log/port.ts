// The channel log: the only truth about a channel. One writer a channel, by the fence; ids are dense from 1.
//
// Invariants
// (L1) An id is told to anybody only when it is settled: kept on a quorum, under a verify that started afterwards.
// (L2) Settled ids are dense from 1, and no later owner can lose or change them (but for redaction).
// (L3) At most one batch of a channel is incomplete at a time; a batch of unknown outcome is sent again, the same bytes,
//      until it is complete or the tenure is lost.
// (L4) An adopted tail (rows kept by an older owner, not known to be settled) is neither served nor built upon before it
//      is settled under this tenure.

import type { Tenure } from "../../runtime/index.ts";

/** One row as kept. `record` is an encoded Entry of client.proto, with its message_id inside. */
export interface LogRow {
  readonly id: number;
  readonly record: Uint8Array;
}

export interface LogRange {
  /** First and last id, both included. With `newestFirst`, `to` is an id that is settled. */
  readonly from: number;
  readonly to: number;
  /** At most so many rows, counted from `from`, or from `to` when `newestFirst`. */
  readonly rowsMax: number;
  /** Stops after the row that reaches this sum of record bytes; at least one row is given. */
  readonly bytesMax: number;
  readonly newestFirst?: boolean;
}

export interface LogEvents {
  /** `settled` has risen. Called outside of append(), at most once a completed verify. */
  onSettled(through: number): void;
  /** The tenure is over: nothing appended after `settled` has a known outcome. Called once; the log is dead. */
  onLost(error: Error): void;
}

/** What is known of a log before it is opened: only ever too low. */
export interface LogHint {
  /** An id that was settled. */
  readonly settled: number;
  /** replay() will be asked for the rows from this id on; at most settled + 1. */
  readonly replayFrom: number;
}

export const noHint: LogHint = { settled: 0, replayFrom: 1 };

export interface ChannelLogStore {
  /**
   * Opens a channel under an active tenure (FENCE rule 2). Nothing is written.
   * Rejects with SHARD_LOST.
   */
  open(channelId: string, tenure: Tenure, events: LogEvents, hint?: LogHint): Promise<ChannelLog>;
  /** Settled rows, ascending unless `newestFirst`; for readers that were told that `range.to` is settled. */
  read(channelId: string, range: LogRange): Promise<LogRow[]>;
}

export interface ChannelLog {
  /** Highest id that is kept, in flight or waiting; the next append gets tail + 1. */
  readonly tail: number;
  /** Highest settled id. */
  readonly settled: number;
  /** True while a batch is in flight or not yet verified: then the log may not be closed. */
  readonly busy: boolean;
  /**
   * Queues one record under `tail + 1`, which it must already carry, and returns that id. Group commit without a timer:
   * what gathers while a batch is in flight leaves together when it has completed.
   */
  append(record: Uint8Array): number;
  /** Settles what was adopted and not known to be settled; resolves when settled = tail as it was at the open. */
  settleAdopted(): Promise<void>;
  /** Rows up to the tail as opened, settled or not, to rebuild the state from; not to be served. */
  replay(from: number): AsyncIterable<LogRow>;
  /** Ends the use of this object. Only when not busy, or after it was lost. */
  close(): void;
}

/** Rows of one bucket share a partition: no batch spans two of them, and a jump to an id is one read. */
export const BUCKET_ROWS = 1_000;

export function bucketOf(id: number, bucketRows = BUCKET_ROWS): number {
  return Math.floor((id - 1) / bucketRows);
}
