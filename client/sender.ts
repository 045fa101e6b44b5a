// Sends what the outboxes hold, and carries out what they decide (outbox.ts has the rules).

import { type Content, contentFault, type Entry, HistoryDirection, type Sent } from "../proto/client.ts";
import { backoffMs } from "./backoff.ts";
import type { ChannelState } from "./channel-state.ts";
import { type Answer, lostReply } from "./connection.ts";
import type { Core } from "./core.ts";
import { ClientError, clientError, contentError, fromReply } from "./errors.ts";
import type { Next, OutboxItem, Outcome, Search, Settled } from "./outbox.ts";
import { randomProducer, type Timer } from "./ports.ts";
import { encodeItem, recordKeys } from "./records.ts";
import type { PendingSend } from "./types.ts";

interface Promised {
  readonly resolve: (sent: Sent) => void;
  readonly reject: (error: ClientError) => void;
}

export class Sender {
  readonly #core: Core;
  /** Channels with something in their outbox, or with a search to do. */
  readonly #busy = new Set<ChannelState>();
  readonly #promised = new Map<number, Promised>();
  readonly #pauses = new Map<ChannelState, Timer>();
  readonly #searching = new Set<ChannelState>();
  /** Outboxes whose newest decision is not kept yet: nothing is sent on it before (B5). */
  readonly #deciding = new Set<ChannelState>();
  #items = 0;
  #lastKey = 0;
  #stopped = false;

  constructor(core: Core) {
    this.#core = core;
  }

  get pending(): PendingSend[] {
    return [...this.#busy].flatMap((channel) =>
      channel.outbox.items.map(({ key, content }) => ({ key, channelId: channel.id, content })),
    );
  }

  /** An item of a former run. Items of a channel come in the order of their keys. */
  restore(channel: ChannelState, item: OutboxItem): void {
    channel.outbox.enqueue(item);
    this.#busy.add(channel);
    this.#items += 1;
    this.#lastKey = Math.max(this.#lastKey, item.key);
  }

  /** Resolves when the server has acknowledged; rejects when it refused. */
  send(channel: ChannelState, content: Content): Promise<Sent> {
    if (this.#stopped) return Promise.reject(clientError("CLOSED"));
    const fault = contentFault(content, this.#core);
    if (fault !== undefined) return Promise.reject(contentError(fault));
    if (this.#items >= this.#core.settings.outboxItemsMax) return Promise.reject(clientError("OUTBOX_FULL"));
    const floorId = channel.timeline.lastId;
    const key = ++this.#lastKey;
    const item: OutboxItem = { key, content, floorId, durable: false, unknown: false, attempted: false };
    channel.outbox.enqueue(item);
    this.#busy.add(channel);
    this.#items += 1;
    const result = new Promise<Sent>((resolve, reject) => this.#promised.set(key, { resolve, reject }));
    const change = { key: recordKeys.item(channel.id, key), value: encodeItem(item) };
    this.#core.keeper.keep([change, this.#core.channelChange(channel)]).then(
      () => {
        item.durable = true;
        this.#pump(channel);
      },
      (cause) => {
        channel.outbox.withdraw(key);
        const error = clientError("STORE_FAILED", { cause });
        this.#finish(channel, [{ key, content, result: { kind: "refused", error } }]);
        this.#pump(channel);
      },
    );
    return result;
  }

  /** An entry that this person wrote has come. */
  observe(channel: ChannelState, entry: Entry): void {
    channel.outbox.observe(entry);
  }

  /** After entries were observed. */
  observed(channel: ChannelState): void {
    this.#step(channel);
  }

  /** Caught up: what waits leaves. */
  online(): void {
    for (const channel of Array.from(this.#busy)) {
      this.#pauses.get(channel)?.cancel();
      this.#pauses.delete(channel);
      if (!this.#deciding.has(channel)) this.#go(channel, channel.outbox.resume());
    }
  }

  lost(): void {
    for (const channel of Array.from(this.#busy)) {
      channel.outbox.lost();
      this.#step(channel);
    }
  }

  /** Whoever waits is told; what is in the store is sent by the next run. */
  stop(error: ClientError): void {
    this.#stopped = true;
    for (const timer of this.#pauses.values()) timer.cancel();
    for (const { reject } of this.#promised.values()) reject(error);
    this.#promised.clear();
  }

  // ---- sending

  #pump(channel: ChannelState): void {
    const { connection, caughtUp, settings } = this.#core;
    if (connection === undefined || !caughtUp || this.#deciding.has(channel) || this.#stopped) return;
    let inFlight = 0;
    for (const other of this.#busy) inFlight += other.outbox.inFlight;
    const free = settings.sendsInFlightMax - inFlight;
    const window = Math.min(settings.sendsInFlightAChannelMax, channel.outbox.inFlight + Math.max(0, free));
    for (const { key, producer, number, content } of channel.outbox.take(window, channel.timeline.lastId)) {
      connection.ask({ send: { channelId: channel.id, producer, number, content } }, (answer) =>
        this.#answered(channel, key, answer),
      );
    }
  }

  #answered(channel: ChannelState, key: number, answer: Answer): void {
    if (this.#stopped) return;
    channel.outbox.answer(key, outcomeOf(answer));
    this.#step(channel);
    // The window that became free is everybody's.
    for (const other of this.#busy) this.#pump(other);
  }

  // ---- deciding

  #step(channel: ChannelState): void {
    if (this.#stopped) return;
    const settled = channel.outbox.settle();
    const refused = settled.some(({ result }) => result.kind === "refused");
    if (settled.length > 0) this.#finish(channel, settled);
    if (refused) this.#decided(channel, () => this.#go(channel, channel.outbox.next()));
    else if (!this.#deciding.has(channel)) this.#go(channel, channel.outbox.next());
  }

  #go(channel: ChannelState, next: Next): void {
    if (next.kind === "pause") {
      const { clock, random, settings } = this.#core;
      const delayMs = next.atLeastMs + (next.attempt === 0 ? 0 : backoffMs(next.attempt, random, settings));
      this.#pauses.get(channel)?.cancel();
      const resume = () => {
        this.#pauses.delete(channel);
        this.#go(channel, channel.outbox.resume());
      };
      if (delayMs === 0) resume();
      else this.#pauses.set(channel, clock.after(delayMs, resume));
    } else if (next.kind === "search") void this.#search(channel, next.search);
    else this.#pump(channel);
  }

  /** A decision (who is refused, which producer goes on) is kept before anything is sent on it. */
  #decided(channel: ChannelState, then: () => void): void {
    this.#deciding.add(channel);
    const keep = () => {
      this.#core.keeper.keep([this.#core.channelChange(channel)]).then(
        () => {
          this.#deciding.delete(channel);
          then();
        },
        () => {
          if (!this.#stopped) this.#core.clock.after(this.#core.settings.storeRetryMs, keep);
        },
      );
    };
    keep();
  }

  #finish(channel: ChannelState, settled: readonly Settled[]): void {
    const { keeper, events } = this.#core;
    this.#items -= settled.length;
    if (channel.outbox.items.length === 0) this.#busy.delete(channel);
    const removed = settled.map(({ key }) => ({ key: recordKeys.item(channel.id, key), value: undefined }));
    keeper.put([...removed, this.#core.channelChange(channel)]);
    for (const { key, content, result } of settled) {
      const promised = this.#promised.get(key);
      this.#promised.delete(key);
      if (result.kind === "sent") {
        promised?.resolve(result.sent);
        events.emit("sent", { key, channelId: channel.id, sent: result.sent });
      } else {
        promised?.reject(result.error);
        events.emit("refused", { key, channelId: channel.id, content, error: result.error });
      }
    }
  }

  // ---- searching the log for what was kept

  async #search(channel: ChannelState, search: Search): Promise<void> {
    this.#busy.add(channel);
    if (this.#searching.has(channel) || !this.#core.caughtUp) return; // `online` comes back to it
    this.#searching.add(channel);
    try {
      if (search.stragglers) {
        await new Promise<void>((resolve) => this.#core.clock.after(this.#core.settings.stragglersMs, resolve));
      }
      const found = await this.#find(channel, search);
      this.#searching.delete(channel);
      this.#searched(channel, found);
    } catch (error) {
      this.#searching.delete(channel);
      if (this.#stopped) return;
      this.#core.events.emit("problem", { what: "searching the log for unacknowledged sends", error });
      if (!this.#core.caughtUp) return;
      const { clock, random, settings } = this.#core;
      clock.after(settings.backoffBaseMs + backoffMs(3, random, settings), () => {
        this.#go(channel, channel.outbox.resume());
      });
    }
  }

  /** This person's entries of the producer; undefined when the log may not be read any more. */
  async #find(channel: ChannelState, { producer, afterId }: Search): Promise<Entry[] | undefined> {
    const { settings, userId } = this.#core;
    const found: Entry[] = [];
    if (afterId >= Number.MAX_SAFE_INTEGER) return found;
    let anchor = afterId;
    for (;;) {
      const history = {
        channelId: channel.id,
        anchor,
        direction: HistoryDirection.AFTER,
        limit: settings.repairPageEntries,
      };
      const { connection } = this.#core;
      if (connection === undefined) throw clientError("NOT_CONNECTED");
      try {
        const { page } = await connection.request({ history });
        const entries = page?.entries ?? [];
        found.push(...entries.filter((entry) => entry.author === userId && entry.producer === producer));
        const last = entries.at(-1);
        if (last === undefined || last.messageId >= (page?.lastId ?? 0)) return found;
        anchor = last.messageId;
      } catch (error) {
        if (error instanceof ClientError && !error.retryable && error.executed === "no") return undefined;
        throw error;
      }
    }
  }

  #searched(channel: ChannelState, found: readonly Entry[] | undefined): void {
    if (this.#stopped) return;
    const { random, events } = this.#core;
    const old = channel.outbox.producer;
    const settled = channel.outbox.searched(found, randomProducer(random), clientError("OUTCOME_UNKNOWN"));
    const error = clientError("BAD_REPLY", {
      message: `The numbers of outbox ${old} were used by another life of this device.`,
    });
    events.emit("problem", { what: "an outbox goes on under a new name", error });
    this.#finish(channel, settled);
    this.#decided(channel, () => this.#pump(channel));
  }
}

function outcomeOf(answer: Answer): Outcome {
  if (answer.sent) return { kind: "sent", sent: answer.sent };
  if (answer.error === lostReply) return { kind: "lost" };
  if (answer.error)
    return { kind: "error", error: fromReply(answer.error), expectedNumber: answer.error.expectedNumber };
  return { kind: "lost" };
}
