// The wake list: which actors have unfinished business, so that the next owner of their shard can wake them after a crash.
// A row is complete before the first append that it covers leaves, and is deleted once, by whoever has seen to it that
// nothing is unfinished (FENCE rule 12). The epoch is part of the key: a stale owner cannot delete its successor's row.

import type { Tenure } from "../../runtime/index.ts";

export interface WakeRow {
  readonly epoch: number;
  /** Ten minutes of the owner's monotonic clock, counted from the start of its process. */
  readonly slot: number;
  /** "<kind>/<id>" */
  readonly actor: string;
}

export interface WakeList {
  /** Resolves when the row is durable. */
  register(tenure: Tenure, slot: number, actor: string): Promise<void>;
  /** All rows of a shard, of every epoch. To be read after the claim. */
  list(shard: number): Promise<WakeRow[]>;
  remove(shard: number, rows: readonly WakeRow[]): Promise<void>;
}
