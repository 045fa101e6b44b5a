// What a node stands upon: where its data is, and who else is there. One process on embedded stores (single.ts), or one of many
// over NATS, Consul, a CQL ring and PostgreSQL (cluster.ts). Nothing above this file knows which.

import type { GatewayChoice, SigningKey } from "../gateway/index.ts";
import type { Role, Seat, ShardFence, WakeList } from "../runtime/index.ts";
import type { AccountStore } from "../storage/accounts/index.ts";
import type { Stores } from "../storage/index.ts";
import type { ClusterNumbers } from "./metrics.ts";

/** Closed in the order in which it was opened, from the end. */
export type Closer = () => Promise<void>;

export interface Addresses {
  readonly wsUrl: string;
  readonly httpUrl: string;
}

export interface Foundation {
  readonly nodeId: string;
  readonly roles: ReadonlySet<Role>;
  readonly seat: Seat;
  /** Undefined on a node without actors. */
  readonly stores: Stores | undefined;
  readonly accounts: AccountStore;
  readonly key: SigningKey;
  /** Undefined without a cluster. */
  readonly numbers: ClusterNumbers | undefined;
  /** Those that take sessions at present. */
  gateways(): readonly GatewayChoice[];
  /** Takes part: from now on others may call. */
  join(addresses: Addresses): Promise<void>;
  /** Whether others can be reached. */
  connected(): boolean;
  /** How many sessions this gateway has. */
  tellSessions(sessions: number, sessionsMax: number): void;
  /** Called when an operator wants the node to be empty. */
  onDrain(listener: () => void): void;
  /** No more new work; resolves when all shards have left, or had nowhere to go. */
  drain(): Promise<void>;
}

/** Of a node without actors: it is never given a shard. */
export const noFence: ShardFence = {
  claim: () => Promise.reject(new Error("a node without actors claims nothing")),
  verify: () => Promise.reject(new Error("a node without actors owns nothing")),
  lose() {},
  onLost() {},
};

export const noWakeList: WakeList = {
  register: async () => {},
  list: async () => [],
  remove: async () => {},
};
