// A cluster of placements on a virtual clock: memory store, memory control, and nodes that can crash, pause and lose their way.
// Keeps the one promise under watch: no (shard, epoch) is ever assigned to two owners.

import type { Clock, Timer } from "../clock.ts";
import { createMemoryControl, type MemoryControl } from "../control/memory.ts";
import type { Tenure } from "../fence.ts";
import { silentLogger } from "../logger.ts";
import { type Member, newMember } from "../membership/port.ts";
import { type Random, seededRandom } from "../random.ts";
import { createVirtualClock, type VirtualClock } from "../virtual-clock.ts";
import { type ClusterPlacement, createClusterPlacement } from "./cluster.ts";
import { type PlacementSettings, placementDefaults } from "./settings.ts";
import { createMemoryStore, type MemoryStore } from "./store-memory.ts";
import { nameOf } from "./values.ts";

export interface RigNode {
  readonly nodeId: string;
  readonly cluster: ClusterPlacement;
  /** Shards that it acts for, by what it was told. */
  readonly acting: Map<number, number>;
  /** Those of them that it serves. */
  readonly serving: Set<number>;
  readonly left: string[];
  readonly changes: number[][];
  state: "up" | "paused" | "crashed" | "closed" | "refused";
  error: unknown;
  pause(): void;
  resume(): void;
}

export interface RigOptions {
  readonly seed?: number;
  readonly shards?: number;
  readonly settings?: Partial<PlacementSettings>;
  readonly controlDelayMs?: readonly [number, number];
  readonly storeDelayMs?: number;
  /** What a hand-off takes. */
  readonly handoffTakesMs?: (tenure: Tenure, random: Random) => number;
  /** Until what was assigned is served. */
  readonly arrivalTakesMs?: (tenure: Tenure, random: Random) => number;
}

export class Rig {
  readonly clock: VirtualClock = createVirtualClock();
  readonly random: Random;
  readonly store: MemoryStore;
  readonly control: MemoryControl;
  readonly settings: PlacementSettings;
  readonly shards: number;
  readonly nodes: RigNode[] = [];
  /** What was broken, in words. */
  readonly violations: string[] = [];
  readonly #options: RigOptions;
  readonly #ownerOf = new Map<string, string>();
  #incarnations = 0;

  constructor(options: RigOptions = {}) {
    const { seed = 1, shards = 16, settings, controlDelayMs = [1, 5], storeDelayMs = 4 } = options;
    this.#options = options;
    this.random = seededRandom(seed);
    this.shards = shards;
    this.settings = { ...placementDefaults, ...settings };
    this.store = createMemoryStore({ clock: this.clock, delayMs: storeDelayMs });
    this.control = createMemoryControl({ clock: this.clock, random: this.random, delayMs: controlDelayMs });
  }

  /** Starts a node; what becomes of it is in its state. */
  join(name: string, more: Partial<Member> = {}, nodeId = this.#nextId(name), shards = this.shards): RigNode {
    const node = this.#make(nodeId, more, shards);
    this.#watch(node, node.cluster.start());
    return node;
  }

  /** One that only asks whether it would be let in. */
  looks(name: string): RigNode {
    const node = this.#make(this.#nextId(name), {}, this.shards);
    this.#watch(node, node.cluster.check());
    return node;
  }

  #nextId(name: string): string {
    return `${name}#${++this.#incarnations}`;
  }

  #watch(node: RigNode, task: Promise<void>): void {
    task.catch((error) => {
      if (node.state === "crashed" || node.state === "closed") return;
      node.state = "refused";
      node.error = error;
    });
  }

  #make(nodeId: string, more: Partial<Member>, shards: number): RigNode {
    const clock = new PausableClock(this.clock);
    const acting = new Map<number, number>();
    const serving = new Set<number>();
    const letGo = (shard: number) => {
      acting.delete(shard);
      serving.delete(shard);
    };
    const cluster = createClusterPlacement({
      member: { ...newMember(nodeId, ["actors"]), version: "1.0.0", ...more },
      shardCount: shards,
      settings: this.settings,
      clock,
      random: this.random,
      log: silentLogger,
      store: this.store.connect(nodeId, clock),
      control: this.control.join(nodeId, clock),
    });
    const node: RigNode = {
      nodeId,
      cluster,
      acting,
      serving,
      left: [],
      changes: [],
      state: "up",
      error: undefined,
      pause: () => {
        clock.pause();
        node.state = "paused";
      },
      resume: () => {
        node.state = "up";
        clock.resume();
      },
    };
    cluster.membership.onLeft((left) => node.left.push(left));
    cluster.placement.open({
      onAssigned: async ({ shard, epoch }) => {
        this.#assigned(nodeId, shard, epoch);
        if (acting.has(shard)) this.violations.push(`${nodeId} acts for shard ${shard} twice`);
        acting.set(shard, epoch);
        const ms = this.#options.arrivalTakesMs?.({ shard, epoch }, this.random) ?? 5;
        await new Promise<void>((resolve) => clock.after(ms, resolve));
        if (acting.get(shard) === epoch) serving.add(shard);
      },
      onHandoff: async (tenure) => {
        const ms = this.#options.handoffTakesMs?.(tenure, this.random) ?? 5;
        await new Promise<void>((resolve) => clock.after(ms, resolve));
        if (acting.get(tenure.shard) === tenure.epoch) letGo(tenure.shard);
      },
      onRevoked: ({ shard, epoch }) => {
        if (acting.get(shard) === epoch) letGo(shard);
        cluster.placement.reportLost({ shard, epoch }, 0); // as the host does
      },
      onOwnersChanged: (shards) => node.changes.push([...shards]),
    });
    this.nodes.push(node);
    return node;
  }

  #assigned(nodeId: string, shard: number, epoch: number): void {
    const key = `${shard}@${epoch}`;
    const before = this.#ownerOf.get(key);
    if (before !== undefined)
      this.violations.push(`shard ${shard} epoch ${epoch} assigned to ${before} and to ${nodeId}`);
    this.#ownerOf.set(key, nodeId);
  }

  /** As SIGKILL. */
  crash(node: RigNode): void {
    node.pause();
    node.state = "crashed";
    this.control.kill(node.nodeId);
    this.store.cut(node.nodeId);
  }

  async close(node: RigNode): Promise<void> {
    node.state = "closed";
    await this.until(node.cluster.close());
  }

  get up(): RigNode[] {
    return this.nodes.filter(({ state }) => state === "up");
  }

  get leader(): RigNode | undefined {
    return this.up.find(({ cluster }) => cluster.coordinator().phase === "working");
  }

  async until<T>(promise: Promise<T>, withinMs = 60_000): Promise<T> {
    let over = false;
    promise.then(
      () => (over = true),
      () => (over = true),
    );
    for (let spentMs = 0; !over && spentMs < withinMs; spentMs += 10) await this.clock.advance(10);
    if (!over) throw new Error(`not within ${withinMs} ms`);
    return promise;
  }

  /** Milliseconds until it holds. */
  async becomes(holds: () => boolean, withinMs: number, what = "what was waited for"): Promise<number> {
    const startedMs = this.clock.monotonicMs();
    while (!holds()) {
      if (this.clock.monotonicMs() - startedMs >= withinMs)
        throw new Error(`${what} not within ${withinMs} ms: ${this.describe()}`);
      await this.clock.advance(10);
    }
    return this.clock.monotonicMs() - startedMs;
  }

  /** Why the cluster is not as it should be when nothing is broken; undefined: it is. */
  unsettled(): string | undefined {
    const up = this.up.filter(({ state }) => state === "up");
    for (let shard = 0; shard < this.shards; shard++) {
      const acting = up.filter((node) => node.acting.has(shard));
      if (acting.length !== 1) return `shard ${shard} has ${acting.length} owners`;
      const [{ nodeId, acting: epochs }] = acting as [RigNode];
      for (const { cluster, nodeId: at } of up) {
        const owner = cluster.placement.ownerOf(shard);
        if (owner?.nodeId !== nodeId || owner.epoch !== epochs.get(shard))
          return `${at} has not heard of shard ${shard}`;
      }
    }
    const fair = this.shards / up.length;
    const most = Math.max(Math.ceil(fair), Math.floor(fair * 1.1));
    const least = Math.min(Math.floor(fair), Math.ceil(fair * 0.9));
    for (const { nodeId, acting } of up) {
      if (acting.size < least || acting.size > most) return `${nodeId} has ${acting.size} of ${this.shards} shards`;
    }
    const leaders = up.filter(({ cluster }) => cluster.coordinator().phase !== "following");
    if (leaders.length !== 1) return `${leaders.length} coordinators`;
    for (const { cluster, nodeId } of up) {
      const members = cluster.membership.members().length;
      if (members !== up.length) return `${nodeId} sees ${members} members of ${up.length}`;
    }
    return undefined;
  }

  describe(): string {
    const lines = this.nodes
      .filter(({ state }) => state === "up" || state === "paused")
      .map(({ nodeId, cluster, acting, state }) => {
        const { nodeId: leader, term, phase, handoffs } = cluster.coordinator();
        const { version, members, owned } = cluster.stats();
        return `${nodeId} ${state}: acts for ${acting.size}, owns ${owned}, table ${version}, leader ${leader} term ${term} (${phase}, ${handoffs} hand-offs), members ${members}`;
      });
    return `${this.unsettled() ?? "settled"}\n  ${lines.join("\n  ")}`;
  }

  names(): Set<string> {
    return new Set(
      this.nodes.filter(({ state }) => state === "up" || state === "paused").map(({ nodeId }) => nameOf(nodeId)),
    );
  }
}

/** A node's own clock: while the node is paused nothing of it runs, and time passes all the same. */
class PausableClock implements Clock {
  readonly #clock: Clock;
  #waiting: (() => void)[] | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  after(delayMs: number, task: () => void): Timer {
    let cancelled = false;
    const timer = this.#clock.after(delayMs, () => {
      if (this.#waiting === undefined) task();
      else this.#waiting.push(() => !cancelled && task());
    });
    return {
      cancel() {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  soon(task: () => void): void {
    this.after(0, task);
  }

  next(task: () => void): void {
    this.after(0, task);
  }

  pause(): void {
    this.#waiting ??= [];
  }

  resume(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const task of waiting) task();
  }
}
