// The wake list, as a port: which actors have unfinished business, so that the next owner of their shard can wake them.
//
// (W1) A row is complete before the first write that it covers leaves.
// (W2) The epoch is part of the key: a stale owner cannot delete its successor's row.
// (W3) A row is deleted once, after its slot has closed, by an owner that has seen nothing unfinished.

import type { Tenure } from "./fence.ts";

export interface WakeRow {
  readonly epoch: number;
  /** Ten minutes of the owner's monotonic clock, counted from the start of its process. */
  readonly slot: number;
  /** `<service>/<id>` */
  readonly actor: string;
}

export interface WakeList {
  /** Resolves when the row is durable. */
  register(tenure: Tenure, slot: number, actor: string): Promise<void>;
  /** All rows of a shard, of every epoch. To be read after the claim. */
  list(shard: number): Promise<WakeRow[]>;
  remove(shard: number, rows: readonly WakeRow[]): Promise<void>;
}
