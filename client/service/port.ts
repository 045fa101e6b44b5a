// The way between a service and the nodes of a cluster. One implementation is on NATS, one in tests.

export interface ConnectionEvents {
  /** From a node. What one node sends in one lane comes in order. */
  onBatch(from: string, lane: string, bytes: Uint8Array): void;
  /** It is certain that no node took what was sent under this number. */
  onNotDelivered(number: number): void;
  /** Whatever was on its way while it was away may be lost, in both directions. */
  onConnected(connected: boolean): void;
  /** Something went wrong that the connection goes on from by itself. */
  onProblem(error: unknown): void;
}

export interface Connection {
  /** Begins to receive. */
  open(events: ConnectionEvents): void;
  readonly connected: boolean;
  readonly messageBytesMax: number;
  /** To any node. False if the connection is away: then nothing was sent, and nothing will be. */
  send(bytes: Uint8Array, number: number): boolean;
  close(): Promise<void>;
}

/** Where a service receives is named by its name and this life of it. */
export interface Address {
  readonly cluster: string;
  readonly name: string;
  readonly incarnation: string;
}

/** Rejects with NATS_UNREACHABLE or NATS_REFUSED. */
export type Connect = (address: Address) => Promise<Connection>;
