// The unacknowledged sends of one channel. Pure: answers and times go in; what to send, keep and tell comes out.
//
// A send is named by (producer, number). Numbers are not stored with the items but follow from their places: item i has the
// number taken + 1 + i. So they are dense whatever is removed, and a removal renumbers what stands behind it.
//
// (B1) An attempt whose outcome is unknown is repeated with the same number and content before anything else is decided.
// (B2) A number gets another content only when every attempt under it, and under all numbers above it, was answered as
//      not executed. For this the outbox waits for all answers once one is an error, and then goes on.
// (B3) When (B2) cannot be had, or the server knows numbers that this device does not, the outbox looks into the log for
//      what was kept, and the rest goes on under a new producer. A number of the old one that was never taken bars all
//      above it for ever, so that no late attempt can come through.
// (B4) Nothing is dropped in silence: each item ends as sent or as refused.
// (B5) Only what the store has is sent.

import type { Content, Entry, Sent } from "../proto/client.ts";
import { sameContent } from "./content.ts";
import type { ClientError } from "./errors.ts";

/** A send as it waits. */
export interface OutboxItem {
  /** Names the item on this device, also after a restart. */
  readonly key: number;
  readonly content: Content;
  /** The channel's newest id when the item was made: its entry stands above. */
  readonly floorId: number;
  /** The store has it. */
  durable: boolean;
  /** An attempt may have been executed, for its answer did not come. True for what a former process has left. */
  unknown: boolean;
  /** Some attempt was made in this process, or may have been in a former one. */
  attempted: boolean;
}

export interface Attempt {
  readonly key: number;
  readonly producer: number;
  readonly number: number;
  readonly content: Content;
}

/** What has become of an attempt. */
export type Outcome =
  | { readonly kind: "sent"; readonly sent: Sent }
  | { readonly kind: "error"; readonly error: ClientError; readonly expectedNumber: number }
  | { readonly kind: "lost" };

export interface Settled {
  readonly key: number;
  readonly content: Content;
  readonly result:
    | { readonly kind: "sent"; readonly sent: Sent }
    | { readonly kind: "refused"; readonly error: ClientError };
}

/**
 * flowing: attempts leave, up to the window. draining: an error came; no attempt leaves until all are answered. waiting:
 * everything is sent again after a pause. searching: the log is searched for what was kept (B3).
 */
type Phase = "flowing" | "draining" | "waiting" | "searching";

export interface Search {
  readonly producer: number;
  /** Entries above this id are looked through. */
  readonly afterId: number;
  /** An attempt may still be on its way through the server: wait until none can be. */
  readonly stragglers: boolean;
}

/** What has to happen next, besides sending. */
export type Next =
  | { readonly kind: "nothing" }
  | { readonly kind: "pause"; readonly attempt: number; readonly atLeastMs: number }
  | { readonly kind: "search"; readonly search: Search };

const nothing: Next = { kind: "nothing" };

export class ChannelOutbox {
  readonly channelId: string;
  #producer: number;
  /** Highest number that the channel is known to have taken of this producer. */
  #taken: number;
  readonly #items: OutboxItem[] = [];
  #phase: Phase = "flowing";
  /** Attempts that wait for their answer, by key, and the numbers they left under. */
  readonly #inFlight = new Map<number, number>();
  readonly #sent = new Map<number, Sent>();
  readonly #refused = new Map<number, ClientError>();
  /** Highest id of the channel when an item was first attempted: its entry must stand above. */
  readonly #floorAtAttempt = new Map<number, number>();
  #conflict = false;
  #retries = 0;
  #retryAfterMs = 0;

  constructor(channelId: string, producer: number, taken: number) {
    this.channelId = channelId;
    this.#producer = producer;
    this.#taken = taken;
  }

  get producer(): number {
    return this.#producer;
  }
  get taken(): number {
    return this.#taken;
  }
  get items(): readonly OutboxItem[] {
    return this.#items;
  }
  get inFlight(): number {
    return this.#inFlight.size;
  }

  numberOf(key: number): number {
    return this.#taken + 1 + this.#items.findIndex((item) => item.key === key);
  }

  /** At the end of the queue, with the next number. */
  enqueue(item: OutboxItem): void {
    this.#items.push(item);
  }

  /** The item could not be kept, and so was never sent (B5). */
  withdraw(key: number): void {
    const at = this.#items.findIndex((item) => item.key === key);
    if (at >= 0 && !this.#items[at]?.attempted) this.#items.splice(at, 1);
  }

  /** Attempts to make now, at most `windowMax` in flight. `knownLastId`: the newest id this device knows of the channel. */
  take(windowMax: number, knownLastId: number): Attempt[] {
    const attempts: Attempt[] = [];
    if (this.#phase !== "flowing") return attempts;
    for (const [place, item] of this.#items.entries()) {
      if (!item.durable || this.#inFlight.size >= windowMax) break;
      if (this.#inFlight.has(item.key) || this.#sent.has(item.key)) continue;
      if (!item.attempted) this.#floorAtAttempt.set(item.key, knownLastId);
      item.attempted = true;
      const number = this.#taken + 1 + place;
      this.#inFlight.set(item.key, number);
      attempts.push({ key: item.key, producer: this.#producer, number, content: item.content });
    }
    return attempts;
  }

  /** An attempt has its outcome. Outcomes of attempts that no longer wait are ignored. */
  answer(key: number, outcome: Outcome): void {
    const number = this.#inFlight.get(key);
    const item = this.#items.find((other) => other.key === key);
    if (number === undefined || item === undefined) return;
    this.#inFlight.delete(key);
    if (outcome.kind === "lost") {
      item.unknown = true;
      this.#drain();
    } else if (outcome.kind === "sent") {
      // An id that was there before the first attempt is somebody else's: this number was used in a former life.
      if (outcome.sent.messageId <= this.#floorOf(item)) this.#foundConflict();
      else this.#sent.set(key, outcome.sent);
    } else this.#failed(item, number, outcome.error, outcome.expectedNumber);
  }

  #failed(item: OutboxItem, number: number, error: ClientError, expectedNumber: number): void {
    this.#drain();
    this.#retryAfterMs = Math.max(this.#retryAfterMs, error.retryAfterMs);
    if (error.code === "OUT_OF_ORDER") {
      const forgotten = expectedNumber <= this.#taken;
      if (forgotten || expectedNumber >= number) this.#foundConflict();
    } else if (error.code === "NUMBER_REUSED" || error.code === "ALREADY_KEPT") this.#foundConflict();
    else if (error.executed !== "no") item.unknown = true;
    else if (!error.retryable) this.#refused.set(item.key, error);
  }

  #foundConflict(): void {
    this.#conflict = true;
    this.#drain();
  }

  #drain(): void {
    if (this.#phase === "flowing") this.#phase = "draining";
  }

  /** An entry of the log that this person wrote. It may be one of these sends, or show that its numbers were used before. */
  observe(entry: Entry): void {
    if (entry.producer !== this.#producer || entry.number <= this.#taken) return;
    const item = this.#items[entry.number - this.#taken - 1];
    const { messageId, timeMs } = entry;
    if (!item?.attempted || messageId <= this.#floorOf(item) || !sameContent(item.content, entry.content)) {
      return this.#foundConflict();
    }
    this.#sent.set(item.key, { channelId: this.channelId, messageId, timeMs });
    this.#inFlight.delete(item.key);
  }

  #floorOf(item: OutboxItem): number {
    return this.#floorAtAttempt.get(item.key) ?? item.floorId;
  }

  /** Takes what is settled off the queue. Call after `answer`, `observe` and `lost`; then `next`. */
  settle(): Settled[] {
    const settled: Settled[] = [];
    for (let head = this.#items[0]; head !== undefined; head = this.#items[0]) {
      const sent = this.#sent.get(head.key);
      if (sent === undefined) break;
      this.#remove(head);
      this.#taken += 1;
      this.#retries = 0;
      settled.push({ key: head.key, content: head.content, result: { kind: "sent", sent } });
    }
    if (this.#phase !== "draining" || this.#inFlight.size > 0) return settled;
    const first = this.#items.findIndex((item) => this.#refused.has(item.key));
    if (first < 0) return settled;
    // (B2) broken: this item or one of a higher number may have been executed.
    if (this.#items.slice(first).some((item) => item.unknown || this.#sent.has(item.key))) this.#conflict = true;
    if (this.#conflict) return settled; // numbers have to stay until the log was searched
    for (const item of this.#items.slice()) {
      const error = this.#refused.get(item.key);
      if (error === undefined) continue;
      this.#remove(item);
      settled.push({ key: item.key, content: item.content, result: { kind: "refused", error } });
    }
    return settled;
  }

  /** What has to happen now that nothing is in flight. */
  next(): Next {
    if (this.#phase !== "draining" || this.#inFlight.size > 0) return nothing;
    if (this.#conflict) {
      this.#phase = "searching";
      return { kind: "search", search: this.#search() };
    }
    const atLeastMs = this.#retryAfterMs;
    this.#retryAfterMs = 0;
    if (this.#items.length === 0) {
      this.#phase = "flowing";
      return nothing;
    }
    this.#phase = "waiting";
    return { kind: "pause", attempt: this.#retries++, atLeastMs };
  }

  #search(): Search {
    const doubtful = this.#items.filter((item) => item.attempted);
    const afterId = doubtful.reduce((lowest, item) => Math.min(lowest, item.floorId), Number.MAX_SAFE_INTEGER);
    return { producer: this.#producer, afterId, stragglers: this.#items.some((item) => item.unknown) };
  }

  /** The pause is over, or there is a new connection. */
  resume(): Next {
    if (this.#phase === "searching") return { kind: "search", search: this.#search() };
    if (this.#phase === "waiting" || this.#inFlight.size === 0) this.#phase = "flowing";
    if (this.#conflict) {
      this.#phase = "draining";
      return this.next();
    }
    return nothing;
  }

  /** The connection is gone: every attempt that waits has an unknown outcome. */
  lost(): void {
    for (const item of this.#items) if (this.#inFlight.has(item.key)) item.unknown = true;
    this.#inFlight.clear();
    this.#drain();
  }

  /**
   * The log was searched: `found` are this person's entries of the old producer. What is among them was sent; the rest goes
   * on as `newProducer`, from number 1. With `found` undefined the log cannot be read any more.
   */
  searched(found: readonly Entry[] | undefined, newProducer: number, unknowable: ClientError): Settled[] {
    const settled: Settled[] = [];
    const oldTaken = this.#taken;
    for (const [place, item] of [...this.#items].entries()) {
      const number = oldTaken + 1 + place;
      const sent = this.#sent.get(item.key) ?? this.#find(item, number, found);
      const refused = this.#refused.get(item.key);
      if (sent !== undefined) settled.push({ key: item.key, content: item.content, result: { kind: "sent", sent } });
      else if (found === undefined && item.unknown)
        settled.push({ key: item.key, content: item.content, result: { kind: "refused", error: unknowable } });
      else if (refused !== undefined)
        settled.push({ key: item.key, content: item.content, result: { kind: "refused", error: refused } });
      else {
        item.unknown = false;
        item.attempted = false;
        continue;
      }
      this.#remove(item);
    }
    this.#producer = newProducer;
    this.#taken = 0;
    this.#conflict = false;
    this.#floorAtAttempt.clear();
    this.#phase = "flowing";
    return settled;
  }

  #find(item: OutboxItem, number: number, found: readonly Entry[] | undefined): Sent | undefined {
    if (!item.attempted) return undefined;
    const floor = this.#floorOf(item);
    const entry = found?.find(
      (other) => other.number === number && other.messageId > floor && sameContent(item.content, other.content),
    );
    if (entry === undefined) return undefined;
    return { channelId: this.channelId, messageId: entry.messageId, timeMs: entry.timeMs };
  }

  #remove(item: OutboxItem): void {
    this.#items.splice(this.#items.indexOf(item), 1);
    this.#sent.delete(item.key);
    this.#refused.delete(item.key);
    this.#floorAtAttempt.delete(item.key);
  }
}
