// What the cluster keeps outside of its nodes: three values, and who is there. Off the path of every message: without it
// nothing moves, and traffic goes on.
//
// (S1) A write takes effect only over the version that its writer has read, and only while its guard stands.
// (S2) A member is listed until it is taken off or its session ends, whichever comes first.
// (S3) Versions are compared for equality only: when an operator sets the data back they go back, too.

/** config: shard count and cluster id, written once. coordinator: term and node. placement: the table of all shards. */
export type PlacementKey = "config" | "coordinator" | "placement";

export interface Stored {
  readonly bytes: Uint8Array;
  readonly version: number;
}

export interface StoredMember {
  readonly nodeId: string;
  readonly bytes: Uint8Array;
  readonly session: string;
}

/** The write fails unless this key has this version too. */
export interface Guard {
  readonly key: PlacementKey;
  readonly version: number;
}

export interface Watch {
  close(): void;
}

/** Every method rejects with CONSUL_UNREACHABLE (whether it took effect is unknown), CONSUL_FORBIDDEN or CONSUL_GARBAGE. */
export interface PlacementStore {
  /** Never older than what was written before the call. */
  read(key: PlacementKey): Promise<Stored | undefined>;
  /** `over` is the version that was read; 0: there was none. Gives the new version, or undefined if somebody was faster. */
  write(key: PlacementKey, bytes: Uint8Array, over: number, guard?: Guard): Promise<number | undefined>;
  /** Never older than what was written before the call. */
  members(): Promise<readonly StoredMember[]>;
  /** Ends by itself, somewhere between its time to live and twice that, when nobody renews it. */
  openSession(nodeId: string): Promise<string>;
  /** False: it has ended. */
  renewSession(session: string): Promise<boolean>;
  /** With it go the members that were put under it. */
  endSession(session: string): Promise<void>;
  /** False: the session has ended, or another one holds the member. */
  putMember(nodeId: string, bytes: Uint8Array, session: string): Promise<boolean>;
  /** Called with what there is, and after changes; may be late, may skip, may repeat. */
  watchMembers(listener: (members: readonly StoredMember[]) => void): Watch;
  watchTable(listener: (table: Stored | undefined) => void): Watch;
  /** The wall clock of the other side, to within a second or two. */
  wallMs(): Promise<number>;
  /** Calls that failed since the start. */
  readonly failures: number;
  close(): void;
}
