// What comes in: deliveries, pointers and pages become announcements; holes are filled; the cursor moves.
//
// (I1) The cursor is kept together with what it stands for: the ranges of the channels, in one write.
// (I2) The server is told of a delivery only after that write.

import { type CaughtUp, type Delivery, type Entry, HistoryDirection, type Pointer } from "../proto/client.ts";
import { backoffMs } from "./backoff.ts";
import type { ChannelState } from "./channel-state.ts";
import type { Answer } from "./connection.ts";
import type { Core } from "./core.ts";
import { ClientError, fromReply } from "./errors.ts";
import type { Timer } from "./ports.ts";
import type { Sender } from "./sender.ts";
import type { Announcement } from "./timeline.ts";
import type { Watermarks } from "./watermarks.ts";

export interface InboxEvents {
  /** The first CaughtUp of a connection. */
  caughtUp(): void;
}

export class Inbox {
  readonly #core: Core;
  readonly #sender: Sender;
  readonly #watermarks: Watermarks;
  readonly #events: InboxEvents;
  /** Channels that nothing is held of, and whose first entries came while the cursor missed something, or a sync ran. */
  readonly #unsure = new Set<ChannelState>();
  /** Channels with a hole to fill: those that wait, and those whose page is on its way. */
  readonly #holed = new Set<ChannelState>();
  readonly #repairing = new Set<ChannelState>();
  #syncTimer: Timer | undefined;
  #repairTimer: Timer | undefined;
  #failures = 0;
  #fullSync = false;

  constructor(core: Core, sender: Sender, watermarks: Watermarks, events: InboxEvents) {
    this.#core = core;
    this.#sender = sender;
    this.#watermarks = watermarks;
    this.#events = events;
  }

  /** Hello was answered; pointers and CaughtUp follow. */
  welcomed(fullSync: boolean): void {
    this.#fullSync = fullSync;
    if (fullSync) this.#core.cursor.dropAll();
    this.#core.cursor.startSync();
  }

  lost(): void {
    this.#core.cursor.stopSync();
    this.#syncTimer?.cancel();
    this.#syncTimer = undefined;
    this.#repairTimer?.cancel();
    this.#repairTimer = undefined;
    this.#repairing.clear();
  }

  /** True if the frame was for the inbox. */
  frame(frame: Answer): boolean {
    if (frame.delivery) this.#deliver(frame.delivery);
    else if (frame.pointer) this.#point(frame.pointer);
    else if (frame.caughtUp) this.#caughtUp(frame.caughtUp);
    else if (frame.syncNeeded) {
      if (this.#core.cursor.needSync()) this.#wantSync();
    } else if (frame.receipts) {
      for (const { channelId, userId, deliveredId, readId } of frame.receipts.receipts) {
        this.#core.events.emit("receipt", { channelId, userId, deliveredId, readId });
      }
    } else return false;
    return true;
  }

  // ---- cursor

  #deliver({ prev, version, channelId, entries, readId, readOrdinal }: Delivery): void {
    const { cursor } = this.#core;
    const channel = this.#core.channel(channelId);
    const gap = cursor.deliver({ prev, version });
    if (gap) this.#wantSync();
    const sure = !gap && !cursor.syncing;
    if (!sure && channel.timeline.from === 0) this.#unsure.add(channel);
    const read = readId > channel.readId;
    channel.told(readId, readOrdinal);
    this.#took(channel, channel.timeline.add(entries, sure), entries);
    if (read) this.#core.events.emit("channel", { channelId });
  }

  #point(pointer: Pointer): void {
    const channel = this.#core.channel(pointer.channelId);
    const { timeline } = channel;
    if (this.#fullSync && pointer.lastId < timeline.to) timeline.doubt(pointer.newest);
    channel.point(pointer);
    this.#took(channel, timeline.add(pointer.newest), pointer.newest);
    this.#core.events.emit("channel", { channelId: channel.id });
  }

  #caughtUp({ cursor }: CaughtUp): void {
    const core = this.#core;
    this.#fullSync = false;
    if (core.cursor.caughtUp(cursor)) this.#wantSync();
    else this.#startUnsure();
    core.keeper.put([core.cursorChange()]);
    if (core.caughtUp) return;
    core.caughtUp = true;
    for (const channel of core.channels.values()) this.#look(channel);
    this.#events.caughtUp();
  }

  /** Nothing is missing any more: channels that no pointer told of start with what they have. */
  #startUnsure(): void {
    for (const channel of this.#unsure) this.#took(channel, channel.timeline.add([]), []);
    this.#unsure.clear();
  }

  /** Gaps that are seen together are repaired by one sync, and one runs at a time. */
  #wantSync(delayMs = this.#core.settings.syncDelayMs): void {
    this.#syncTimer ??= this.#core.clock.after(delayMs, () => {
      this.#syncTimer = undefined;
      const { connection, cursor } = this.#core;
      if (connection === undefined) return;
      if (cursor.syncing) return void cursor.needSync();
      cursor.startSync();
      connection.ask({ sync: { cursor: cursor.value } }, (answer) => {
        if (answer.caughtUp) return this.#caughtUp(answer.caughtUp);
        if (connection !== this.#core.connection) return;
        cursor.stopSync();
        if (answer.error) this.#problem("syncing", fromReply(answer.error));
        this.#wantSync(this.#retryMs(answer.error?.retryAfterMs ?? 0));
      });
    });
  }

  #retryMs(atLeastMs: number): number {
    const { random, settings } = this.#core;
    this.#failures += 1;
    return Math.max(atLeastMs, settings.syncDelayMs) + backoffMs(this.#failures, random, settings);
  }

  // ---- entries

  /** Entries have come: announce what can be, keep it with the cursor, and look for a hole. */
  #took(channel: ChannelState, announcement: Announcement, came: readonly Entry[]): void {
    const core = this.#core;
    let own = false;
    for (const entry of came) {
      if (entry.author !== core.userId) continue;
      own = true;
      this.#sender.observe(channel, entry);
    }
    this.#announce(channel, announcement);
    if (own) this.#sender.observed(channel);
    this.#look(channel);
  }

  #announce(channel: ChannelState, { gap, entries }: Announcement): void {
    const core = this.#core;
    const channelId = channel.id;
    channel.take(entries, core.userId);
    if (gap !== undefined) core.events.emit("gap", { channelId, gap });
    if (entries.length > 0) core.events.emit("entries", { channelId, entries });
    const changes = [core.channelChange(channel), core.cursorChange()]; // (I1)
    if (entries.length === 0) return core.keeper.put(changes);
    const { to } = channel.timeline;
    core.keeper.keep(changes).then(
      () => this.#watermarks.delivered(channel, to), // (I2)
      () => undefined, // the keeper tells of it and tries again; the next delivery acknowledges this one too
    );
  }

  // ---- holes

  #look(channel: ChannelState): void {
    if (channel.timeline.hole === undefined) this.#holed.delete(channel);
    else this.#holed.add(channel);
    this.#repair();
  }

  #repair(): void {
    const { connection, settings } = this.#core;
    if (connection === undefined || this.#repairTimer !== undefined) return;
    for (const channel of this.#holed) {
      if (this.#repairing.size >= settings.repairsInFlightMax) return;
      const { hole } = channel.timeline;
      if (hole === undefined || this.#repairing.has(channel)) continue;
      this.#repairing.add(channel);
      const { AFTER } = HistoryDirection;
      const history = {
        channelId: channel.id,
        anchor: hole.afterId,
        direction: AFTER,
        limit: settings.repairPageEntries,
      };
      connection.request({ history }).then(
        ({ page }) => {
          if (connection !== this.#core.connection) return;
          this.#repairing.delete(channel);
          this.#failures = 0;
          const { entries = [], firstVisibleId = 0, lastId = 0 } = page ?? {};
          const { timeline } = channel;
          const restarted = timeline.judge(hole.afterId, lastId);
          this.#took(channel, restarted ?? timeline.fill(hole.afterId, entries, firstVisibleId), entries);
        },
        (error: unknown) => {
          if (connection !== this.#core.connection) return;
          this.#repairing.delete(channel);
          this.#failed(channel, error);
        },
      );
    }
  }

  #failed(channel: ChannelState, error: unknown): void {
    this.#problem(`filling a hole of ${channel.id}`, error);
    if (error instanceof ClientError && !error.retryable && error.executed === "no") {
      this.#took(channel, channel.timeline.giveUp(), []); // no longer a member: what is missing stays missing, and is told
      return;
    }
    const retryAfterMs = error instanceof ClientError ? error.retryAfterMs : 0;
    this.#repairTimer ??= this.#core.clock.after(this.#retryMs(retryAfterMs), () => {
      this.#repairTimer = undefined;
      this.#repair();
    });
  }

  #problem(what: string, error: unknown): void {
    this.#core.events.emit("problem", { what, error });
  }
}
