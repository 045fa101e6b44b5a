// Registers: everything that is derived from a log, and every watermark. A register has a value and a timestamp, and only
// rises: a write with a lower timestamp changes nothing, whenever it arrives. So late, doubled and stale writers are
// harmless, no order is needed, and all of it can be rebuilt. Never deleted.

/** One table each. head: by channel; inbox and presence: by user. */
export type RegisterFamily = "head" | "inbox" | "presence";

export interface Register {
  /** Within its owner, such as a channel id in an inbox. At most 128 bytes. */
  readonly name: string;
  /** The number of the entry, watermark or stamp that caused the value; in [0, 2^53). */
  readonly timestamp: number;
  readonly value: Uint8Array;
}

export interface RegisterWrite extends Register {
  readonly family: RegisterFamily;
  /** Whose registers these are: a channel id or a user id. */
  readonly owner: string;
}

export interface RegisterStore {
  /** All registers of an owner, by name ascending. */
  read(family: RegisterFamily, owner: string): Promise<Register[]>;
  /** Resolves when all are durable; many calls may share one commit. At equal timestamps the larger value stays. */
  write(writes: readonly RegisterWrite[]): Promise<void>;
}
