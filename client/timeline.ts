// What this device holds of one channel: a range of ids without a hole. Pure: entries go in from deliveries, pointers and
// pages, in any order and more than once; entries to announce and holes to fill come out.
//
// (T1) Each entry is announced once, and ids ascend without a hole, except where a Gap tells of one.
// (T2) What lies between the range and a newer entry is asked for before the newer entry is announced.
// (T3) A device that holds nothing of a channel starts with the first entries it gets; older ones are history. Not with those
//      before which it may have missed some: they wait for what the sync brings.
// (T4) What is held is dropped only when the server's log says that it ends below. A pointer below is no proof: after a crash
//      it may be older than the log.

import type { Entry } from "../proto/client.ts";

/** Ids that this device will not be given: before its person was a member, or lost by a server that went back. */
export interface Gap {
  readonly fromId: number;
  readonly toId: number;
}

export interface Announcement {
  readonly gap: Gap | undefined;
  /** Ascending, dense. */
  readonly entries: readonly Entry[];
}

/** Entries above `afterId` are wanted. */
export interface Hole {
  readonly afterId: number;
}

export class Timeline {
  /** First id announced in this life of the range; 0 when nothing is held. */
  from: number;
  /** Last id announced. */
  to: number;
  /** Highest id that the channel is known to have for this person. */
  lastId: number;
  /** The newest entries that an older pointer came with, until the log has said how far it goes (T4). */
  #doubt: readonly Entry[] | undefined;
  readonly #waiting = new Map<number, Entry>();
  readonly #waitingMax: number;

  constructor(range: { from: number; to: number; lastId: number; doubted?: boolean }, waitingMax: number) {
    this.from = range.from;
    this.to = range.to;
    this.lastId = range.lastId;
    this.#doubt = range.doubted === true ? [] : undefined;
    this.#waitingMax = waitingMax;
  }

  get doubted(): boolean {
    return this.#doubt !== undefined;
  }

  /** Undefined when nothing is missing below what is known, or when nothing is held (T3). */
  get hole(): Hole | undefined {
    return !this.#empty && (this.lastId > this.to || this.doubted) ? { afterId: this.to } : undefined;
  }

  /** New entries, or a page. Returns what can be announced now. `starts`: a range may begin with them (T3). */
  add(entries: readonly Entry[], starts = true): Announcement {
    if (this.#empty && starts) this.#start(entries);
    const ready: Entry[] = [];
    const next = this.#empty ? undefined : this.#waiting.get(this.to + 1);
    if (next !== undefined) this.#drain(next, ready); // the range has moved to it
    for (const entry of entries) {
      const id = entry.messageId;
      if (id > this.lastId) this.lastId = id;
      if (this.#empty || id > this.to + 1) this.#keep(id, entry);
      else if (id > this.to) this.#drain(entry, ready);
    }
    return { gap: undefined, entries: ready };
  }

  get #empty(): boolean {
    return this.from === 0;
  }

  /** (T3) The lowest of the entries, or what waits directly below it; without entries, the lowest that waits. */
  #start(entries: readonly Entry[]): void {
    let first = entries[0]?.messageId ?? this.#lowestWaiting();
    if (first === undefined) return;
    while (this.#waiting.has(first - 1)) first -= 1;
    for (const id of this.#waiting.keys()) if (id < first) this.#waiting.delete(id);
    this.from = first;
    this.to = first - 1;
  }

  /** The channel goes up to `lastId` for this person. */
  know(lastId: number): void {
    if (lastId > this.lastId) this.lastId = lastId;
  }

  /** Answer to a Hole: entries above `afterId`, of which none below `firstVisibleId` can be seen. */
  fill(afterId: number, entries: readonly Entry[], firstVisibleId: number): Announcement {
    if (afterId !== this.to) return this.add(entries); // the range has moved since it was asked for
    const next = entries[0]?.messageId ?? this.#lowestWaiting();
    if (next !== undefined && next > this.to + 1) {
      // The server knows no entry between: it cannot be seen.
      return this.#jump(next, entries);
    }
    if (next === undefined && firstVisibleId > this.to + 1 && firstVisibleId <= this.lastId) {
      return this.#jump(firstVisibleId, entries);
    }
    const announced = this.add(entries);
    if (next === undefined) this.lastId = this.to; // the server has nothing above either
    return announced;
  }

  /** The hole cannot be filled any more: go on above it. */
  giveUp(): Announcement {
    this.#doubt = undefined;
    const next = this.#lowestWaiting() ?? this.lastId + 1;
    return next > this.to + 1 ? this.#jump(next, []) : { gap: undefined, entries: [] };
  }

  /** A full sync came with a pointer below what is held, and with these entries. */
  doubt(newest: readonly Entry[]): void {
    if (!this.#empty) this.#doubt = newest;
  }

  /** The log goes up to `lastId`, asked for when the range went up to `afterId`. Defined if it has lost what is held. */
  judge(afterId: number, lastId: number): Announcement | undefined {
    if (this.#doubt === undefined || afterId !== this.to) return undefined;
    const newest = this.#doubt;
    this.#doubt = undefined;
    if (lastId >= this.to) return undefined;
    const gap = { fromId: lastId + 1, toId: this.to };
    this.#waiting.clear();
    this.from = 0;
    this.to = 0;
    this.lastId = lastId;
    return { gap, entries: this.add(newest).entries };
  }

  #jump(next: number, entries: readonly Entry[]): Announcement {
    const gap = { fromId: this.to + 1, toId: next - 1 };
    this.from = next;
    this.to = next - 1;
    return { gap, entries: this.add(entries).entries };
  }

  /** A full buffer keeps the lowest ids: they are announced first, and the others come again by the next page. */
  #keep(id: number, entry: Entry): void {
    this.#waiting.set(id, entry);
    if (this.#waiting.size <= this.#waitingMax) return;
    this.#waiting.delete(Math.max(...this.#waiting.keys()));
  }

  #lowestWaiting(): number | undefined {
    return this.#waiting.size === 0 ? undefined : Math.min(...this.#waiting.keys());
  }

  /** `next` continues the range, and with it what has waited for it. */
  #drain(next: Entry, ready: Entry[]): void {
    for (let entry: Entry | undefined = next; entry !== undefined; entry = this.#waiting.get(this.to + 1)) {
      this.to = entry.messageId;
      this.#waiting.delete(this.to);
      ready.push(entry);
    }
  }
}
