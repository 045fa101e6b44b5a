// What the SDK has to find again after a restart: its log-in, its cursor, what it holds of each channel, and above all the
// sends that were not acknowledged. Small records, some dozens of bytes each; not a cache of messages.
//
// (D1) A write is kept whole or not at all, and in the order of the calls.
// (D2) When `write` resolves, the records outlive the process; with the file and IndexedDB, a loss of power too.
// (D3) After a rejected `write` the store holds what it held before, and goes on to work.

export interface StoreChange {
  readonly key: string;
  /** Undefined removes the record. */
  readonly value: Uint8Array | undefined;
}

export interface ClientStore {
  /** Everything that is kept. Called once, first. */
  load(): Promise<Map<string, Uint8Array>>;
  write(changes: readonly StoreChange[]): Promise<void>;
  close(): Promise<void>;
}
