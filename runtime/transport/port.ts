// Moves batches of bytes between nodes. At most once, in order per lane while nothing breaks, and it never waits.

export interface TransportEvents {
  onBatch(from: string, lane: number, bytes: Uint8Array): void;
  /** From a service that knows no owners: any node takes it and passes it on. `service` is the name that it may use. */
  onRequest(service: string, bytes: Uint8Array): void;
}

export interface Transport {
  /** Bytes of the largest batch that passes in one message. */
  readonly messageBytesMax: number;
  /** Begins to receive. */
  open(events: TransportEvents): void;
  /**
   * Hands a batch over for one lane of a node. `notDelivered` is called if it is certain that the node did not get it;
   * silence means nothing.
   */
  send(to: string, lane: number, bytes: Uint8Array, notDelivered: () => void): void;
  close(): Promise<void>;
}
