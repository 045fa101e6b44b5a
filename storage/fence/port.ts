// What the fence needs of a store with several replicas: plain reads and writes at QUORUM, with our own timestamps. No
// transaction takes part. The tables are those of docs/fence.md.
//
// (Q1) A write that resolves is on a quorum. One that rejects is of unknown outcome: it may land later, or never.
// (Q2) A read sees every write that had resolved before the read began, and perhaps others.
// (Q3) Of two writes of a cell the higher timestamp stays; at equal ones a deletion, and then the larger value.

/** The owner is part of the key: as a value, the larger of two at one epoch would see only itself. */
export interface ClaimRow {
  readonly epoch: number;
  /** A node incarnation. */
  readonly owner: string;
}

export interface CellRow {
  readonly id: number;
  readonly cell: Uint8Array;
  /** The timestamp of the write; a row's epoch is read from it, never from the record. */
  readonly writetime: number;
}

/** One batch in one partition: all of it lands on a replica, or nothing. */
export interface CellBatch {
  readonly channelId: string;
  readonly bucket: number;
  /** Deletes the rows of the bucket with a higher id. */
  readonly tombstone: { readonly above: number; readonly timestamp: number } | undefined;
  readonly rows: readonly { readonly id: number; readonly cell: Uint8Array }[];
  readonly timestamp: number;
}

export interface QuorumStore {
  insertClaim(shard: number, claim: ClaimRow): Promise<void>;
  readClaims(shard: number): Promise<ClaimRow[]>;
  deleteClaims(shard: number, claims: readonly ClaimRow[]): Promise<void>;
  /** At `stamp(epoch, 0)`, so that the highest revocation stays. */
  insertRevocation(owner: string, shard: number, epoch: number): Promise<void>;
  /** By shard. */
  readRevocations(owner: string, shards: readonly number[]): Promise<ReadonlyMap<number, number>>;
  writeCells(batch: CellBatch): Promise<unknown>;
  /** Rows of one bucket, ascending by id, ids in [from, to]. */
  readCells(channelId: string, bucket: number, from: number, to: number): Promise<CellRow[]>;
  /** More waits than may be on its way: now a request saved is worth more than an answer that comes sooner. */
  isFull(): boolean;
}
