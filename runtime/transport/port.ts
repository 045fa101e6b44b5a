// Moves batches of bytes between nodes. At most once, in order per lane, and it never waits.

export interface TransportEvents {
  onBatch(from: string, bytes: Uint8Array): void;
}

export interface Transport {
  /** Begins to receive. */
  open(events: TransportEvents): void;
  /**
   * Hands a batch over for one lane of a node. `notDelivered` is called if it is certain that the node did not get it;
   * silence means nothing.
   */
  send(to: string, lane: number, bytes: Uint8Array, notDelivered: () => void): void;
  close(): Promise<void>;
}
