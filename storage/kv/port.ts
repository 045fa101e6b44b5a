// Ordered rows on the disk of one node: what the stores of a node without servers are built upon. A row is found by its
// partition (whose it is) and its cluster (which one), and rows of a partition lie in the order of their clusters.
//
// (K1) Writes are kept in the order in which they were put; what is kept is a prefix of what was put.
// (K2) A write is told as kept only when it outlives a loss of power.
// (K3) Reads see all that is kept, and nothing that is not.

import type { StoreStats } from "../stores.ts";

/** In the journal a table is its place in this list: new ones come last. */
export const tables = ["log", "head", "inbox", "presence", "wake", "claim", "jobs"] as const;
export type Table = (typeof tables)[number];

/** Whoever waits for writes to be kept. */
export interface Keeper {
  /** Called once for each write, in their order, outside of put(). */
  kept(): void;
}

export interface Write {
  readonly table: Table;
  readonly partition: string;
  readonly cluster: Uint8Array;
  /** Undefined deletes the row. */
  readonly value: Uint8Array | undefined;
  readonly keeper: Keeper;
}

export interface Row {
  readonly cluster: Uint8Array;
  readonly value: Uint8Array;
}

export interface RowRange {
  /** First and last cluster, both included; without them, the partition's first and last. */
  readonly from?: Uint8Array;
  readonly to?: Uint8Array;
  readonly rowsMax?: number;
  /** Stops after the row that reaches this sum of value bytes. */
  readonly bytesMax?: number;
  readonly descending?: boolean;
}

export interface KeyValue {
  get(table: Table, partition: string, cluster: Uint8Array): Uint8Array | undefined;
  range(table: Table, partition: string, range: RowRange): Row[];
  /** Bytes are kept as they are given: they must not change afterwards. Throws OVERLOADED when too much waits. */
  put(write: Write): void;
  stats(): StoreStats;
  close(): Promise<void>;
}

/** A partition may not hold this byte: it ends the partition within a key. */
export const PARTITION_END = 0;
/** What a row costs while it waits, beside its value. */
export const ROW_OVERHEAD_BYTES = 128;
