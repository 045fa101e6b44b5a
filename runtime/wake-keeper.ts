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
  /** By the very tenure that activations have: a shard that leaves, or a row that is needed still, is no matter of the others. */
  readonly #kept = new Map<Tenure, Kept[]>();
  readonly #latest = new Map<Activation, Kept>();

  constructor(list: WakeList, clock: Clock, slotMs: number, log: Logger) {
    this.#list = list;
    this.#clock = clock;
    this.#slotMs = slotMs;
    this.#log = log;
  }

  /** Rows that are kept. */
  get size(): number {
    let size = 0;
    for (const ofShard of this.#kept.values()) size += ofShard.length;
    return size;
  }

  #slot(): number {
    return Math.floor(this.#clock.monotonicMs() / this.#slotMs);
  }

  #keep(kept: Kept): void {
    const ofShard = this.#kept.get(kept.tenure);
    if (ofShard === undefined) this.#kept.set(kept.tenure, [kept]);
    else ofShard.push(kept);
  }

  /** Undefined if a row of the present slot is durable, else resolves when it is (W1). */
  register(activation: Activation): Promise<void> | undefined {
    const slot = this.#slot();
    const { tenure } = activation;
    const latest = this.#latest.get(activation);
    if (latest !== undefined && latest.row.slot === slot && latest.tenure === tenure) return latest.written;
    const row: WakeRow = { epoch: tenure.epoch, slot, actor: `${activation.kind.name}/${activation.id}` };
    const kept: Kept = { tenure, row, activation, written: undefined };
    this.#keep(kept);
    this.#latest.set(activation, kept);
    kept.written = this.#list.register(tenure, slot, row.actor).then(
      () => {
        kept.written = undefined;
      },
      (error) => {
        // The next append has to try again.
        this.#drop(tenure, new Set([kept]));
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
    this.#keep({ tenure: activation.tenure, row, activation, written: undefined });
  }

  sweep(): void {
    const slot = this.#slot();
    const isOver = ({ row, tenure, activation }: Kept) =>
      (row.epoch < tenure.epoch || row.slot < slot) && finished(activation);
    let left = REMOVED_A_SWEEP;
    for (const [tenure, ofShard] of this.#kept) {
      if (left <= 0) return;
      const over = ofShard.filter(isOver).slice(0, left);
      left -= over.length;
      void this.#remove(tenure, over);
    }
  }

  /** The shard goes to another node: rows of finished actors go, the others stay for the next owner. */
  async release(tenure: Tenure): Promise<void> {
    const over = this.#kept.get(tenure)?.filter(({ activation }) => finished(activation)) ?? [];
    await this.#remove(tenure, over);
    this.forget(tenure);
  }

  forget(tenure: Tenure): void {
    this.#drop(tenure, new Set(this.#kept.get(tenure)));
  }

  #drop(tenure: Tenure, gone: ReadonlySet<Kept>): void {
    const rest = this.#kept.get(tenure)?.filter((kept) => !gone.has(kept)) ?? [];
    if (rest.length === 0) this.#kept.delete(tenure);
    else this.#kept.set(tenure, rest);
    for (const kept of gone) if (this.#latest.get(kept.activation) === kept) this.#latest.delete(kept.activation);
  }

  async #remove(tenure: Tenure, over: readonly Kept[]): Promise<void> {
    if (over.length === 0) return;
    this.#drop(tenure, new Set(over));
    // An actor that left memory and came back within a slot has the same row for both of its lives.
    const needed = new Set(this.#kept.get(tenure)?.map(({ row }) => keyOf(row)));
    const rows = over.map(({ row }) => row).filter((row) => !needed.has(keyOf(row)));
    try {
      if (rows.length > 0) await this.#list.remove(tenure.shard, rows);
    } catch (error) {
      // A row too many only wakes an actor that has nothing to do.
      this.#log.warn({ error }, "wake rows could not be deleted");
    }
  }
}

function keyOf({ epoch, slot, actor }: WakeRow): string {
  return `${epoch}/${slot}/${actor}`;
}

function finished(activation: Activation): boolean {
  return (activation.phase === "active" || activation.phase === "gone") && !activation.unfinished;
}
