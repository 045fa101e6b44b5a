// Whether this node may join: asked before it writes anything (K3).

import { type Clock, pause } from "../clock.ts";
import type { Control } from "../control/port.ts";
import type { Logger } from "../logger.ts";
import type { Random } from "../random.ts";
import { clusterErrors } from "./errors.ts";
import { decodeControl } from "./messages.ts";
import type { PlacementSettings } from "./settings.ts";
import type { PlacementStore, Stored, StoredMember } from "./store.ts";
import { decodeTable } from "./table.ts";
import { type ClusterValue, decodeCluster, encodeValue, nameOf } from "./values.ts";

export interface EnterOptions {
  readonly nodeId: string;
  readonly shardCount: number;
  readonly settings: PlacementSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly store: PlacementStore;
  readonly control: Control;
  /** Sends a ping, to all when nobody is named. */
  ask(clusterId: string, to?: string): void;
}

export interface Entered {
  readonly clusterId: string;
  readonly table: Stored | undefined;
  readonly members: readonly StoredMember[];
  /** Older incarnations of this node's name that did not answer: their sessions are ended. */
  readonly replaced: readonly string[];
}

export interface Entrance {
  /** Reads and asks, and writes nothing. */
  look(): Promise<void>;
  /** Looks, again if it was done before, and clears the way. */
  pass(): Promise<Entered>;
  /** What comes over control meanwhile. */
  heard(from: string, bytes: Uint8Array): void;
}

interface Seen {
  readonly isFounded: boolean;
  readonly table: Stored | undefined;
  readonly members: readonly StoredMember[];
  readonly older: readonly StoredMember[];
}

/** How finely the wait for Control is cut. */
const CONTROL_POLL_MS = 50;

export function createEntrance(options: EnterOptions): Entrance {
  const entering = new Entering(options);
  return {
    look: async () => void (await entering.look()),
    pass: () => entering.pass(),
    heard: (from, bytes) => entering.heard(from, bytes),
  };
}

class Entering {
  readonly #options: EnterOptions;
  readonly #answered = new Set<string>();
  #clusterId = "";
  /** Cluster ids that were answered with, and by whom. */
  readonly #foreign = new Map<string, string>();

  constructor(options: EnterOptions) {
    this.#options = options;
  }

  heard(from: string, bytes: Uint8Array): void {
    const { dropped, message } = decodeControl(this.#clusterId, bytes, this.#options.settings.controlBytesMax);
    // Only joined nodes answer. What else is about comes from nodes that start as this one does.
    if (dropped === "foreign" && message?.body === "pong") this.#foreign.set(message.clusterId, from);
    else if (dropped === undefined) this.#answered.add(from);
  }

  async look(): Promise<Seen> {
    const { store, shardCount, nodeId } = this.#options;
    this.#answered.clear();
    await this.#checkClock();
    const config = await this.#config();
    this.#clusterId = config?.clusterId ?? this.#newId();
    const members = await store.members();
    const table = await store.read("placement");
    if (table !== undefined) decodeTable(table.bytes, shardCount);
    const older = members.filter((member) => member.nodeId !== nodeId && nameOf(member.nodeId) === nameOf(nodeId));
    await this.#greet(older.map((member) => member.nodeId));
    return { isFounded: config !== undefined, table, members, older };
  }

  async pass(): Promise<Entered> {
    const { store, log } = this.#options;
    const { isFounded, table, members, older } = await this.look();
    if (!isFounded) await this.#found(this.#clusterId);
    for (const { nodeId: old, session } of older) {
      log.info({ node: old }, "an older incarnation of this node does not answer, and is replaced");
      await store.endSession(session);
    }
    const replaced = older.map((member) => member.nodeId);
    return { clusterId: this.#clusterId, table, replaced, members: members.filter((one) => !older.includes(one)) };
  }

  async #checkClock(): Promise<void> {
    const { store, clock, settings } = this.#options;
    const skewMs = clock.wallMs() - (await store.wallMs());
    if (Math.abs(skewMs) <= settings.clockSkewMs) return;
    const seconds = Math.round(skewMs / 1_000);
    throw clusterErrors.CLOCK_SKEW({
      message: `the clock of this machine is ${seconds} s from Consul's; set it right`,
    });
  }

  async #config(): Promise<ClusterValue | undefined> {
    const { store, shardCount } = this.#options;
    const stored = await store.read("config");
    if (stored === undefined) return undefined;
    const config = decodeCluster(stored.bytes);
    if (config.shardCount !== shardCount) {
      throw clusterErrors.SHARD_COUNT_MISMATCH({
        message: `the cluster has ${config.shardCount} shards, this node is set to ${shardCount}; it cannot be changed`,
      });
    }
    return config;
  }

  #newId(): string {
    const part = () => Math.floor(this.#options.random.next() * 2 ** 32).toString(16);
    return `${part()}-${part()}`;
  }

  /** Written once; of several first nodes one wins. */
  async #found(clusterId: string): Promise<void> {
    const { store, shardCount } = this.#options;
    if ((await store.write("config", encodeValue({ shardCount, clusterId }), 0)) !== undefined) return;
    this.#clusterId = (await this.#config())?.clusterId ?? clusterId;
  }

  /** Who answers with another cluster's id, or under this node's name? */
  async #greet(older: readonly string[]): Promise<void> {
    const { clock, settings, control, ask, nodeId } = this.#options;
    const untilMs = clock.monotonicMs() + settings.suspectMs;
    while (!control.connected && clock.monotonicMs() < untilMs) await pause(clock, CONTROL_POLL_MS);
    if (!control.connected) throw clusterErrors.CONTROL_UNREACHABLE();
    ask(this.#clusterId);
    for (const old of older) ask(this.#clusterId, old);
    await pause(clock, settings.greetingMs);
    const alive = older.find((old) => this.#answered.has(old));
    if (alive !== undefined) {
      throw clusterErrors.NAME_IN_USE({
        message: `${alive} is alive; a node needs a name of its own, not ${nameOf(nodeId)}`,
      });
    }
    if (this.#foreign.size === 0) return;
    // The first nodes of a cluster may start together: then the id was written meanwhile.
    const config = await this.#config();
    for (const [clusterId, from] of this.#foreign) {
      if (clusterId === config?.clusterId) continue;
      throw clusterErrors.CLUSTER_MISMATCH({
        message: `${from} belongs to another cluster of the same name; name this one differently`,
      });
    }
  }
}
