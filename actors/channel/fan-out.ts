// From settled entries to the user actors of their audience, again and again until each has confirmed.
//
// (F1) Entry n goes to the members after n and to whom n removes, to nobody else.
// (F2) Entries leave in the order of their ids; those of one audience that settled together leave together.
// (F3) What somebody has not confirmed within `redeliverAfterMs` is sent again, from the log, before twice that time has gone; or
//      by the next owner. What was sent since is left alone: in a busy channel something is always on its way.
// (F4) Entries leave at once after a silence of `fanOutEveryMs`; a busy channel hands over once in that time, all together.
// (F5) Whoever sent them is told first: handing over is work, and what has settled together would wait for all of it.

import { type DeliverNotice, Entry, type UserService } from "../../proto/index.ts";
import type { ActorContext, References, Timer } from "../../runtime/index.ts";
import type { ChannelLogStore } from "../../storage/index.ts";
import { countsAsUnread } from "../content.ts";
import { deliveryBody } from "../frames.ts";
import type { ChatSettings } from "../settings.ts";
import { type Audience, AudienceBook, type Recipient } from "./audience.ts";

/** An entry on its way out. */
export interface Outgoing {
  readonly id: number;
  readonly author: number;
  readonly ordinal: number;
  /** It makes the channel unread. */
  readonly counts: boolean;
  readonly record: Uint8Array;
  readonly audience: Audience;
  /** Those of the audience whom this entry removes. */
  readonly removed: readonly number[];
  /** Those of the audience whom this entry lets in, and the first entry that they may see. */
  readonly added: ReadonlyMap<number, number> | undefined;
  /** Of the send, when it is traced; empty otherwise. */
  readonly traceparent: string;
}

export interface FanOutOptions {
  readonly channelId: string;
  readonly context: ActorContext;
  readonly users: References<typeof UserService>;
  readonly logs: ChannelLogStore;
  readonly settings: ChatSettings;
  /** These entries, in order, have left for the first time. */
  readonly onSent: (firstId: number, records: readonly Uint8Array[]) => void;
  /** Something was confirmed. */
  readonly onProgress: () => void;
}

/** Entries that were sent and not confirmed by all: one row, however many they are, while their audience is one. */
interface Sent {
  readonly from: number;
  to: number;
  readonly audience: Audience;
  readonly removed: readonly number[];
  readonly added: ReadonlyMap<number, number> | undefined;
}

export class FanOut {
  readonly book: AudienceBook;
  readonly #options: FanOutOptions;
  #waiting: Outgoing[] = [];
  #sent: Sent[] = [];
  #again: Timer | undefined;
  #lastReleaseMs = Number.NEGATIVE_INFINITY;
  #paced: Timer | undefined;
  #behind = false;
  #stopped = false;
  #settled = 0;

  constructor(through: number, options: FanOutOptions) {
    this.book = new AudienceBook(through);
    this.#options = options;
  }

  /** Everything that was handed over is confirmed. */
  get complete(): boolean {
    return this.#waiting.length === 0 && this.book.complete;
  }

  push(entry: Outgoing): void {
    this.#waiting.push(entry);
  }

  /** What has settled may go (F4). */
  release(settled: number): void {
    this.#settled = settled;
    if (this.#paced !== undefined || this.#behind || this.#waiting.length === 0) return;
    const { context, settings } = this.#options;
    const waitMs = this.#lastReleaseMs + settings.fanOutEveryMs - context.clock.monotonicMs();
    if (waitMs <= 0) return this.#releaseBehind();
    this.#paced = context.after(waitMs, () => {
      this.#paced = undefined;
      this.#releaseNow();
    });
  }

  /** (F5) Behind the answers of this turn. */
  #releaseBehind(): void {
    this.#behind = true;
    this.#options.context.clock.soon(() => {
      this.#behind = false;
      if (!this.#stopped) this.#releaseNow();
    });
  }

  #releaseNow(): void {
    const settled = this.#settled;
    let from = 0;
    while (from < this.#waiting.length && (this.#waiting[from] as Outgoing).id <= settled) {
      const first = this.#waiting[from] as Outgoing;
      let to = from + 1;
      let bytes = first.record.length;
      for (; to < this.#waiting.length; to++) {
        const next = this.#waiting[to] as Outgoing;
        bytes += next.record.length;
        const together = next.id <= settled && next.audience === first.audience && plain(first) && plain(next);
        if (!together || bytes > this.#options.settings.deliverBytesMax) break;
      }
      this.#send(from === 0 && to === this.#waiting.length ? this.#waiting : this.#waiting.slice(from, to));
      from = to;
    }
    if (from === 0) return;
    this.#waiting = this.#waiting.slice(from);
    this.#lastReleaseMs = this.#options.context.clock.monotonicMs();
    this.#armAgain();
  }

  #send(entries: readonly Outgoing[]): void {
    const first = entries[0] as Outgoing;
    const last = entries.at(-1) as Outgoing;
    const { audience, removed, added } = first;
    this.book.sent(first.audience, first.id, last.id);
    const before = this.#sent.at(-1);
    if (before !== undefined && before.audience === first.audience && plain(before) && plain(first))
      before.to = last.id;
    else this.#sent.push({ from: first.id, to: last.id, audience, removed, added });
    const traced = entries.find(({ traceparent }) => traceparent !== "")?.traceparent;
    this.#deliver(entries, audience.recipients, { audience, removed, added }, traced);
    this.#options.onSent(
      first.id,
      entries.map((entry) => entry.record),
    );
  }

  #deliver(
    entries: readonly Pick<Outgoing, "id" | "author" | "ordinal" | "counts" | "record">[],
    recipients: readonly Recipient[],
    { audience, removed, added }: Pick<Outgoing, "audience" | "removed" | "added">,
    traceparent = "",
  ): void {
    const { channelId, users } = this.#options;
    const first = entries[0];
    const last = entries.at(-1);
    if (first === undefined || last === undefined) return;
    const unread = entries.findLast(({ counts }) => counts);
    const notice: DeliverNotice = {
      channelId,
      firstId: first.id,
      lastId: last.id,
      ordinal: last.ordinal,
      authors: entries.map((entry) => entry.author),
      body: deliveryBody(
        channelId,
        entries.map((entry) => entry.record),
      ),
      left: false,
      visibleFrom: 0,
      unreadId: unread?.id ?? 0,
      unreadAuthor: unread?.author ?? 0,
    };
    if (removed.length === 0 && added === undefined) {
      const everybody = recipients === audience.recipients;
      users.many(everybody ? audience.keys : recipients.map((recipient) => recipient.key)).deliver(notice, traceparent);
    } else {
      for (const { userId, key } of recipients) {
        const left = removed.includes(userId);
        users(key).deliver({ ...notice, left, visibleFrom: added?.get(userId) ?? 0 }, traceparent);
      }
    }
  }

  confirm(userIds: readonly number[], throughIds: readonly number[]): void {
    for (let i = 0; i < userIds.length; i++) this.book.confirm(userIds[i] as number, throughIds[i] ?? 0);
    if (this.book.complete) {
      this.#sent = [];
      this.#again?.cancel();
      this.#again = undefined;
    } else {
      const through = this.book.confirmedThrough;
      while (this.#sent[0] !== undefined && this.#sent[0].to <= through) this.#sent.shift();
    }
    this.#options.onProgress();
  }

  /** What has not left is for the next owner (F3). */
  stop(): void {
    this.#stopped = true;
    this.#again?.cancel();
    this.#again = undefined;
    this.#paced?.cancel();
    this.#paced = undefined;
  }

  #armAgain(): void {
    if (this.#again !== undefined || this.book.complete) return;
    const through = this.book.sentThrough;
    this.#again = this.#options.context.after(this.#options.settings.redeliverAfterMs, async () => {
      this.#again = undefined;
      await this.#sendAgain(everybody, through);
      this.#armAgain();
    });
  }

  /** Their mail was lost: what they have not confirmed is not waited for. */
  sendAgainTo(isAffected: (actorId: string) => boolean): void {
    if (this.book.complete || !this.#sent.some(({ audience }) => audience.keys.some(isAffected))) return;
    this.#options.context.after(0, () => this.#sendAgain(isAffected, this.book.sentThrough));
  }

  /**
   * (F3) To those who lack something up to `through`. The newest entries that they lack of a range are enough: the pointer tells the
   * device how far the channel goes, and a device fills what it lacks by history.
   */
  async #sendAgain(whom: (actorId: string) => boolean, through: number): Promise<void> {
    const { channelId, logs, settings } = this.#options;
    for (const range of this.#sent.filter(({ from }) => from <= through)) {
      const due = Math.min(range.to, through);
      const late = range.audience.recipients.filter(
        ({ key, sent, confirmed }) => confirmed < sent && confirmed < due && whom(key),
      );
      if (late.length === 0) continue;
      const confirmed = Math.min(...late.map((recipient) => recipient.confirmed));
      const rows = await logs.read(channelId, {
        from: Math.max(range.from, confirmed + 1),
        to: range.to,
        rowsMax: settings.historyPageMax,
        bytesMax: settings.deliverBytesMax,
        newestFirst: true,
      });
      const entries = rows.reverse().map(({ id, record }) => {
        const { author, ordinal, content } = Entry.decode(record);
        return { id, author, ordinal, counts: countsAsUnread(content), record };
      });
      this.#deliver(entries, late, range);
    }
  }
}

const everybody = () => true;

function plain(entry: Pick<Outgoing, "removed" | "added">): boolean {
  return entry.removed.length === 0 && entry.added === undefined;
}
