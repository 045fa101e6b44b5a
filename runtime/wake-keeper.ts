// Keeps the wake rows of this node (wake.ts): writes one for an actor at most once a slot, and deletes it when the slot has
// closed and the actor has nothing unfinished, or has left memory, which it does only when nothing is unfinished.

import type { Activation } from "./activation.ts";
import type { Clock } from "./clock.ts";
import type { Tenure } from "./fence.ts";
import type { Logger } from "./logger.ts";
import type { WakeList, WakeRow } from "./wake.ts";

interface Kept {
  readonly tenure: Tenure;
  readonly row: WakeRow;
  readonly activation: Activation;
  /** Undefined once the row is durable. */
  written: Promise<void> | undefined;
}

/** Rows deleted in one sweep, so that a sweep stays short. */
const REMOVED_A_SWEEP = 5_000;

export class WakeKeeper {
  readonly #list: WakeList;
  readonly #clock: Clock;
  readonly #slotMs: number;
  readonly #log: Logger;
  #kept: Kept[] = [];
  #latest = new Map<Activation, Kept>();

  constructor(list: WakeList, clock: Clock, slotMs: number, log: Logger) {
    this.#list = list;
    this.#clock = clock;
    this.#slotMs = slotMs;
    this.#log = log;
  }

  #slot(): number {
    return Math.floor(this.#clock.monotonicMs() / this.#slotMs);
  }

  /** Undefined if a row of the present slot is durable, else resolves when it is (W1). */
  register(activation: Activation): Promise<void> | undefined {
    const slot = this.#slot();
    const latest = this.#latest.get(activation);
    if (latest !== undefined && latest.row.slot === slot && latest.tenure === activation.tenure) return latest.written;
    const row: WakeRow = {
      epoch: activation.tenure.epoch,
      slot,
      actor: `${activation.kind.name}/${activation.id}`,
    };
    const kept: Kept = { tenure: activation.tenure, row, activation, written: undefined };
    this.#kept.push(kept);
    this.#latest.set(activation, kept);
    kept.written = this.#list.register(activation.tenure, slot, row.actor).then(
      () => {
        kept.written = undefined;
      },
      (error) => {
        // The next append has to try again.
        this.#kept = this.#kept.filter((other) => other !== kept);
        if (this.#latest.get(activation) === kept) this.#latest.delete(activation);
        throw error;
      },
    );
    return kept.written;
  }

  /** The rows that older owners left behind. */
  async takeOver(tenure: Tenure): Promise<WakeRow[]> {
    const rows = await this.#list.list(tenure.shard);
    return rows.filter((row) => row.epoch < tenure.epoch);
  }

  /** An older owner's row, kept until the actor that it woke says that it has finished. */
  adopt(activation: Activation, row: WakeRow): void {
    this.#kept.push({ tenure: activation.tenure, row, activation, written: undefined });
  }

  sweep(): void {
    const slot = this.#slot();
    const closed = (kept: Kept) => kept.row.epoch < kept.tenure.epoch || kept.row.slot < slot;
    this.#remove((kept) => closed(kept) && finished(kept.activation), REMOVED_A_SWEEP);
  }

  /** The shard goes to another node: rows of finished actors go, the others stay for the next owner. */
  async release(tenure: Tenure): Promise<void> {
    await this.#remove((kept) => kept.tenure === tenure && finished(kept.activation), Number.POSITIVE_INFINITY);
    this.forget(tenure);
  }

  forget(tenure: Tenure): void {
    this.#kept = this.#kept.filter((kept) => kept.tenure !== tenure);
    for (const [activation, kept] of this.#latest) if (kept.tenure === tenure) this.#latest.delete(activation);
  }

  async #remove(which: (kept: Kept) => boolean, atMost: number): Promise<void> {
    const byShard = new Map<number, WakeRow[]>();
    let removed = 0;
    // An actor that left memory and came back within a slot has the same row for both of its lives.
    const needed = new Set<string>();
    for (const kept of this.#kept) if (!which(kept)) needed.add(keyOf(kept));
    this.#kept = this.#kept.filter((kept) => {
      if (removed >= atMost || !which(kept) || needed.has(keyOf(kept))) return true;
      removed += 1;
      const rows = byShard.get(kept.tenure.shard) ?? [];
      rows.push(kept.row);
      byShard.set(kept.tenure.shard, rows);
      if (this.#latest.get(kept.activation) === kept) this.#latest.delete(kept.activation);
      return false;
    });
    try {
      await Promise.all([...byShard].map(([shard, rows]) => this.#list.remove(shard, rows)));
    } catch (error) {
      // A row too many only wakes an actor that has nothing to do.
      this.#log.warn({ error }, "wake rows could not be deleted");
    }
  }
}

function keyOf({ tenure, row }: Kept): string {
  return `${tenure.shard}/${row.epoch}/${row.slot}/${row.actor}`;
}

function finished(activation: Activation): boolean {
  return (activation.phase === "active" || activation.phase === "gone") && !activation.unfinished;
}
