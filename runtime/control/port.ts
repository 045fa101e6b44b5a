// What nodes say to each other about the cluster itself: beats, hand-offs, changes of the table. Apart from the traffic of the
// actors, so that neither waits behind the other. At most once, in order per sender while nothing breaks, and it never waits.

export interface ControlEvents {
  onMessage(from: string, bytes: Uint8Array): void;
  /** The way to the others was lost, or is back. While it is lost nobody's silence means anything. */
  onConnected(connected: boolean): void;
}

export interface Control {
  readonly connected: boolean;
  /** Begins to receive. */
  open(events: ControlEvents): void;
  send(to: string, bytes: Uint8Array): void;
  /** To every other node of the cluster. */
  broadcast(bytes: Uint8Array): void;
  close(): Promise<void>;
}
