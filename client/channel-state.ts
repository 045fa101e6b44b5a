// What this device knows of one channel, and how that is kept.

import { type Entry, MembershipChange, type Pointer } from "../proto/client.ts";
import { ChannelOutbox } from "./outbox.ts";
import type { ChannelRecord } from "./records.ts";
import { Timeline } from "./timeline.ts";

export interface ChannelLimits {
  readonly bufferedEntriesMax: number;
  readonly recentEntriesMax: number;
}

/** A channel that nothing is known of. */
export function newChannelRecord(producer: number): ChannelRecord {
  const watermarks = { ordinal: 0, readId: 0, readOrdinal: 0, readTold: 0, acked: 0 };
  return { producer, taken: 0, from: 0, to: 0, lastId: 0, ...watermarks, title: "", left: false };
}

export class ChannelState {
  readonly id: string;
  readonly timeline: Timeline;
  readonly outbox: ChannelOutbox;
  /** Ordinal of the newest entry that is known. */
  ordinal: number;
  readId: number;
  readOrdinal: number;
  readTold: number;
  acked: number;
  title: string;
  left: boolean;
  /** The newest entries that were announced, ascending. */
  recent: Entry[] = [];
  readonly #recentMax: number;

  constructor(id: string, record: ChannelRecord, limits: ChannelLimits) {
    this.id = id;
    this.timeline = new Timeline(record, limits.bufferedEntriesMax);
    this.outbox = new ChannelOutbox(id, record.producer, record.taken);
    this.ordinal = record.ordinal;
    this.readId = record.readId;
    this.readOrdinal = record.readOrdinal;
    this.readTold = record.readTold;
    this.acked = record.acked;
    this.title = record.title;
    this.left = record.left;
    this.#recentMax = limits.recentEntriesMax;
  }

  get unread(): number {
    return Math.max(0, this.ordinal - this.readOrdinal);
  }

  record(): ChannelRecord {
    const { ordinal, readId, readOrdinal, readTold, acked, title, left } = this;
    const { from, to, lastId, doubted } = this.timeline;
    const { producer, taken } = this.outbox;
    return { producer, taken, from, to, lastId, doubted, ordinal, readId, readOrdinal, readTold, acked, title, left };
  }

  /** The inbox of the server says so. */
  point({ lastId, ordinal, readId, readOrdinal, left }: Pointer): void {
    this.timeline.know(lastId);
    this.ordinal = Math.max(this.ordinal, ordinal);
    this.left = left;
    this.told(readId, readOrdinal);
  }

  /** The server knows that the person has read up to here. */
  told(readId: number, readOrdinal: number): void {
    this.readTold = Math.max(this.readTold, readId);
    this.read(readId, readOrdinal);
  }

  /** True if this goes further than what was read before. */
  read(readId: number, readOrdinal: number): boolean {
    if (readId <= this.readId) return false;
    this.readId = readId;
    this.readOrdinal = Math.max(this.readOrdinal, readOrdinal);
    return true;
  }

  /** Entries are about to be announced. */
  take(entries: readonly Entry[], userId: number): void {
    for (const entry of entries) {
      this.ordinal = Math.max(this.ordinal, entry.ordinal);
      // Who writes has read what stands above; the server takes it so, too.
      if (entry.author === userId && entry.producer !== 0) this.told(entry.messageId, entry.ordinal);
      this.#membership(entry, userId);
    }
    this.recent = [...this.recent, ...entries].slice(-this.#recentMax);
  }

  #membership({ content }: Entry, userId: number): void {
    const membership = content?.membership;
    if (!membership) return;
    const { change, members, title } = membership;
    if (change === MembershipChange.CREATED || change === MembershipChange.TITLE) this.title = title;
    if (!members.some((member) => member.userId === userId)) return;
    if (change === MembershipChange.CREATED || change === MembershipChange.ADDED) this.left = false;
    if (change === MembershipChange.REMOVED || change === MembershipChange.LEFT) this.left = true;
  }
}
