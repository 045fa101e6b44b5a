// What a follower holds of one channel: entries that are ready for the application, and those that came above a hole. Pure.
//
// (F1) Entries are given out once, in the order of their ids, without a hole.
// (F2) Both sides are bounded. What does not fit is dropped: ids are dense, so it shows as a hole and is read from the log.

import type { Entry } from "../../proto/index.ts";

export interface FeedLimits {
  readonly followReadyMax: number;
  readonly followEarlyMax: number;
  readonly followBytesMax: number;
}

/** An entry, and the size of the record that it came as. */
export interface Sized {
  readonly entry: Entry;
  readonly bytes: number;
}

export class Feed {
  readonly #limits: FeedLimits;
  readonly #early = new Map<number, Sized>();
  #earlyBytes = 0;
  #ready: Entry[] = [];
  #readyBytes = 0;
  #to: number;
  #known: number;

  /** Wants what is above `afterId`. */
  constructor(afterId: number, limits: FeedLimits) {
    this.#to = afterId;
    this.#known = afterId;
    this.#limits = limits;
  }

  /** Everything up to here was given out or is ready. */
  get to(): number {
    return this.#to;
  }

  /** The channel is known to go on above `to`, and there is room for it: ask the log. */
  get lacks(): boolean {
    return this.#known > this.#to && !this.#full && !this.#early.has(this.#to + 1);
  }

  get #full(): boolean {
    return this.#ready.length >= this.#limits.followReadyMax || this.#readyBytes >= this.#limits.followBytesMax;
  }

  /** The channel has settled up to here. */
  know(lastId: number): void {
    this.#known = Math.max(this.#known, lastId);
  }

  /** Told by the channel's owner. */
  add(sized: Sized): void {
    const id = sized.entry.messageId;
    this.know(id);
    if (id <= this.#to || this.#early.has(id)) return;
    if (id === this.#to + 1 && !this.#full) this.#extend(sized);
    else {
      const { followEarlyMax, followBytesMax } = this.#limits;
      if (this.#early.size >= followEarlyMax || this.#earlyBytes + sized.bytes > followBytesMax) return; // (F2)
      this.#early.set(id, sized);
      this.#earlyBytes += sized.bytes;
    }
    this.#drain();
  }

  /** A page of the log, as asked for after `to`. There was room when it was asked for, so all of it is taken. */
  fill(page: readonly Sized[]): void {
    for (const sized of page) {
      this.know(sized.entry.messageId);
      if (sized.entry.messageId === this.#to + 1) this.#extend(sized);
    }
    this.#drain();
  }

  /** All that is ready. */
  take(): readonly Entry[] {
    const taken = this.#ready;
    this.#ready = [];
    this.#readyBytes = 0;
    this.#drain();
    return taken;
  }

  #extend({ entry, bytes }: Sized): void {
    this.#ready.push(entry);
    this.#readyBytes += bytes;
    this.#to = entry.messageId;
    this.#forget(this.#to);
  }

  #drain(): void {
    for (;;) {
      const next = this.#early.get(this.#to + 1);
      if (next === undefined || this.#full) return;
      this.#extend(next);
    }
  }

  #forget(id: number): void {
    this.#earlyBytes -= this.#early.get(id)?.bytes ?? 0;
    this.#early.delete(id);
  }
}
