// Tells the server how far this device has received and the person has read. What was told is kept, so that what was not is
// told after a reconnection or a restart.

import type { ChannelState } from "./channel-state.ts";
import type { Core } from "./core.ts";
import type { Timer } from "./ports.ts";

export class Watermarks {
  readonly #core: Core;
  /** Channels whose acknowledgement is due. */
  readonly #due = new Map<ChannelState, number>();
  #timer: Timer | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Entries up to `id` are kept on this device. */
  delivered(channel: ChannelState, id: number): void {
    if (id <= channel.acked || channel.left) return;
    this.#due.set(channel, Math.max(id, this.#due.get(channel) ?? 0));
    this.#schedule();
  }

  /** The person has read up to here. */
  read(channel: ChannelState, readId: number, ordinal: number): void {
    if (!channel.read(readId, ordinal)) return;
    this.#core.keeper.put([this.#core.channelChange(channel)]);
    this.#core.events.emit("channel", { channelId: channel.id });
    this.#tellRead(channel);
  }

  online(): void {
    for (const channel of this.#core.channels.values()) {
      this.delivered(channel, channel.timeline.to);
      if (channel.readId > channel.readTold) this.#tellRead(channel);
    }
  }

  lost(): void {
    this.#due.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #schedule(): void {
    this.#timer ??= this.#core.clock.after(this.#core.settings.ackDelayMs, () => {
      this.#timer = undefined;
      this.#flush();
    });
  }

  #flush(): void {
    const { connection, settings } = this.#core;
    if (connection === undefined) return;
    let told = 0;
    for (const [channel, deliveredId] of this.#due) {
      if (told === settings.acksAtOnceMax || connection.requestsInFlight >= settings.requestsInFlightMax) break;
      told += 1;
      this.#due.delete(channel);
      connection.ask({ ack: { channelId: channel.id, deliveredId } }, ({ done }) => {
        if (!done) return; // told again after the next connection, or with the next entry
        channel.acked = Math.max(channel.acked, deliveredId);
        this.#core.keeper.put([this.#core.channelChange(channel)]);
      });
    }
    if (this.#due.size > 0) this.#schedule();
  }

  #tellRead(channel: ChannelState): void {
    const { connection, caughtUp } = this.#core;
    if (connection === undefined || !caughtUp) return;
    const { readId, readOrdinal } = channel;
    connection.ask({ read: { channelId: channel.id, readId, ordinal: readOrdinal } }, ({ done }) => {
      if (!done) return;
      channel.told(readId, readOrdinal);
      this.#core.keeper.put([this.#core.channelChange(channel)]);
    });
  }
}
