// What is under way and ends soon, by number.
//
// A Map is the wrong place for it. The engine replaces the table of a Map in which entries come and go again and again, and links
// each table to the next; once one has lived long enough to be moved to old space, all later ones, and whatever stood in them,
// survive until old space is collected. So calls that were answered long ago would be copied by each small collection: under load
// that was a third of a node's time. Here an entry that ends is linked to nothing.

export interface UnderWay<Entry> {
  readonly callId: number;
  /** The next one of the same bucket; of concern to nobody else. */
  next: Entry | undefined;
}

/** A power of two: with as many calls as a node takes at most, some five share one. */
const BUCKETS = 4_096;

export class InFlight<Entry extends UnderWay<Entry>> {
  readonly #buckets: (Entry | undefined)[] = new Array(BUCKETS).fill(undefined);
  size = 0;

  add(entry: Entry): void {
    const bucket = bucketOf(entry.callId);
    entry.next = this.#buckets[bucket];
    this.#buckets[bucket] = entry;
    this.size += 1;
  }

  /** The first one of the number that is meant. */
  find(callId: number, isMeant?: (entry: Entry) => boolean): Entry | undefined {
    let entry = this.#buckets[bucketOf(callId)];
    while (entry !== undefined && !(entry.callId === callId && (isMeant === undefined || isMeant(entry)))) {
      entry = entry.next;
    }
    return entry;
  }

  /** Finds it, and removes it. */
  take(callId: number): Entry | undefined {
    const entry = this.find(callId);
    if (entry !== undefined) this.remove(entry);
    return entry;
  }

  /** False if it is not in here. */
  remove(entry: Entry): boolean {
    const bucket = bucketOf(entry.callId);
    let before: Entry | undefined;
    let at = this.#buckets[bucket];
    while (at !== undefined && at !== entry) {
      before = at;
      at = at.next;
    }
    if (at === undefined) return false;
    if (before === undefined) this.#buckets[bucket] = entry.next;
    else before.next = entry.next;
    entry.next = undefined;
    this.size -= 1;
    return true;
  }

  /** Those that are in here now; what is removed meanwhile is given all the same. */
  all(): Entry[] {
    const found: Entry[] = [];
    for (let entry of this.#buckets) {
      for (; entry !== undefined; entry = entry.next) found.push(entry);
    }
    return found;
  }
}

function bucketOf(callId: number): number {
  return callId % BUCKETS;
}
