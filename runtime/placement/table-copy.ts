// How this node's copy of the table is kept: by what Consul shows, by the changes that the coordinator tells, and by reading it anew
// where one of them was missed.

import type { PlacementDelta } from "../../proto/index.ts";
import type { Clock, Timer } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Random } from "../random.ts";
import type { Directory } from "./directory.ts";
import type { PlacementSettings } from "./settings.ts";
import type { PlacementStats } from "./stats.ts";
import type { PlacementStore, Stored } from "./store.ts";
import { applyDelta, decodeTable } from "./table.ts";

export interface TableCopyParts {
  readonly directory: Directory;
  readonly shardCount: number;
  readonly settings: PlacementSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly store: PlacementStore;
  readonly log: Logger;
  readonly stats: PlacementStats;
}

export class TableCopy {
  readonly #parts: TableCopyParts;
  #refreshing = false;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #closed = false;

  constructor(parts: TableCopyParts) {
    this.#parts = parts;
  }

  /** 0: none is known. */
  get version(): number {
    return this.#parts.directory.table?.version ?? 0;
  }

  shown({ bytes }: Stored): void {
    const { directory, shardCount, stats, log } = this.#parts;
    try {
      directory.adopt(decodeTable(bytes, shardCount));
    } catch (error) {
      stats.corrupt += 1;
      log.error({ error }, "the placement table cannot be read; the one before it stays");
    }
  }

  changed(delta: PlacementDelta): void {
    const { directory } = this.#parts;
    if (delta.version <= this.version) return;
    const next = directory.table && applyDelta(directory.table, delta);
    if (next === undefined) this.refresh();
    else directory.adopt(next);
  }

  /** A change was missed. Nodes that missed the same one do not read at the same time. */
  refresh(): void {
    const { store, clock, settings, random, log } = this.#parts;
    if (this.#refreshing || this.#closed) return;
    this.#refreshing = true;
    const waitMs = this.#refreshedAtMs + settings.refreshMs * (1 + random.next()) - clock.monotonicMs();
    this.#timer = clock.after(Math.max(0, waitMs), async () => {
      this.#refreshedAtMs = clock.monotonicMs();
      try {
        const stored = await store.read("placement");
        if (stored !== undefined && !this.#closed) this.shown(stored);
      } catch (error) {
        log.debug({ error }, "the placement table could not be read");
      }
      this.#refreshing = false;
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}
