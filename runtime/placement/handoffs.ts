// Shards on their way from one node to another, as the coordinator counts them: asked for, then given away, until the new owner
// serves them. What the table says of them is the coordinator's.

import type { Tenures } from "../../proto/index.ts";
import type { Clock } from "../clock.ts";
import type { Move } from "./balance.ts";
import type { ControlBody } from "./messages.ts";
import type { ShardOwner } from "./port.ts";
import type { PlacementSettings } from "./settings.ts";
import type { PlacementStats } from "./stats.ts";

export interface HandoffsParts {
  readonly settings: PlacementSettings;
  readonly clock: Clock;
  readonly stats: PlacementStats;
  /** Of the coordinator. */
  term(): number;
  send(to: string, body: ControlBody): void;
}

interface Handoff {
  readonly from: string;
  readonly epoch: number;
  readonly startedAtMs: number;
  to: string;
  sentAtMs: number;
}

/** Given away, and not served yet. */
interface Arriving {
  readonly epoch: number;
  /** When its owner was asked to hand it off; undefined where nobody was. */
  readonly askedAtMs: number | undefined;
  /** It is waited for no longer. */
  readonly untilMs: number;
}

/** A shard whose owner does not hand it off. */
export interface Stuck extends Move {
  /** The owner is gone, or it takes too long. */
  readonly cause: "orphans" | "overdue";
}

export class Handoffs {
  readonly #parts: HandoffsParts;
  readonly #asked = new Map<number, Handoff>();
  readonly #arriving = new Map<number, Arriving>();

  constructor(parts: HandoffsParts) {
    this.#parts = parts;
  }

  /** Asked for, and not given away yet. */
  get size(): number {
    return this.#asked.size;
  }

  has(shard: number): boolean {
    return this.#asked.has(shard);
  }

  /** For whom a shard was asked for. */
  targetOf(shard: number): string | undefined {
    return this.#asked.get(shard)?.to;
  }

  /** Asked for, or given away and not served yet. Those that are late do not count. */
  onTheWay(): number {
    const nowMs = this.#parts.clock.monotonicMs();
    let count = this.#asked.size;
    for (const { untilMs } of this.#arriving.values()) if (nowMs < untilMs) count += 1;
    return count;
  }

  /** Asks the owners of these shards for them. */
  begin(moves: readonly Move[], owners: readonly ShardOwner[]): void {
    const nowMs = this.#parts.clock.monotonicMs();
    for (const { shard, to } of moves) {
      const { nodeId: from, epoch } = owners[shard] as ShardOwner;
      this.#asked.set(shard, { from, to, epoch, startedAtMs: nowMs, sentAtMs: nowMs });
    }
    this.#ask(moves.map(({ shard }) => shard));
  }

  /** One that was asked for goes to another node. */
  redirect(shard: number, to: string): void {
    const handoff = this.#asked.get(shard);
    if (handoff !== undefined) handoff.to = to;
  }

  /** One message an owner. */
  #ask(shards: readonly number[]): void {
    const { clock, send, term } = this.#parts;
    const byOwner = new Map<string, Tenures>();
    for (const shard of shards) {
      const handoff = this.#asked.get(shard) as Handoff;
      handoff.sentAtMs = clock.monotonicMs();
      const tenures = byOwner.get(handoff.from) ?? { shards: [], epochs: [] };
      tenures.shards.push(shard);
      tenures.epochs.push(handoff.epoch);
      byOwner.set(handoff.from, tenures);
    }
    for (const [owner, tenures] of byOwner) send(owner, { beginHandoff: { term: term(), tenures } });
  }

  /**
   * Asks again where no answer came, and gives those that have to move without one.
   * @param here the nodes that live
   * @param settled those that move with the next table need nothing
   */
  tend(here: ReadonlySet<string>, settled: (shard: number) => boolean): Stuck[] {
    const { settings, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const stuck: Stuck[] = [];
    const again: number[] = [];
    for (const [shard, { from, to, startedAtMs, sentAtMs }] of this.#asked) {
      if (settled(shard)) continue;
      if (!here.has(from)) stuck.push({ shard, to, cause: "orphans" });
      else if (nowMs - startedAtMs >= settings.handoffMs) stuck.push({ shard, to, cause: "overdue" });
      else if (nowMs - sentAtMs >= settings.handoffResendMs) again.push(shard);
    }
    this.#ask(again);
    return stuck;
  }

  /** The table says so. */
  given(shard: number, { epoch }: ShardOwner): void {
    const { settings, clock } = this.#parts;
    const askedAtMs = this.#asked.get(shard)?.startedAtMs;
    this.#asked.delete(shard);
    this.#arriving.set(shard, { epoch, askedAtMs, untilMs: clock.monotonicMs() + settings.arrivalMs });
  }

  /** Their new owner says so. */
  served({ shards, epochs }: Tenures): void {
    const { stats, clock } = this.#parts;
    shards.forEach((shard, at) => {
      const arriving = this.#arriving.get(shard);
      if (arriving === undefined || arriving.epoch !== epochs[at]) return;
      this.#arriving.delete(shard);
      if (arriving.askedAtMs === undefined) return;
      const tookMs = clock.monotonicMs() - arriving.askedAtMs;
      stats.handoffMs.count += 1;
      stats.handoffMs.sum += tookMs;
      stats.handoffMs.max = Math.max(stats.handoffMs.max, tookMs);
    });
  }

  /** A term begins: what is to be done is found anew. */
  clear(): void {
    this.#asked.clear();
    this.#arriving.clear();
  }
}
