// What the parts of the SDK share: the ports, the store, the events, the channels, and the connection of the moment.

import { ChannelState, newChannelRecord } from "./channel-state.ts";
import type { Connection } from "./connection.ts";
import type { Cursor } from "./cursor.ts";
import type { Emitter } from "./events.ts";
import type { Clock, Random } from "./ports.ts";
import { type ChannelRecord, encodeJson, recordKeys } from "./records.ts";
import type { ClientSettings } from "./settings.ts";
import type { Keeper } from "./store/keeper.ts";
import type { StoreChange } from "./store/port.ts";
import type { ClientEvents } from "./types.ts";

export interface CoreParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: ClientSettings;
  readonly keeper: Keeper;
  readonly events: Emitter<ClientEvents>;
  readonly cursor: Cursor;
}

export class Core implements CoreParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: ClientSettings;
  readonly keeper: Keeper;
  readonly events: Emitter<ClientEvents>;
  readonly cursor: Cursor;
  /** As many as the person's inbox has. */
  readonly channels = new Map<string, ChannelState>();
  /** Set from the welcome until the connection is lost. */
  connection: Connection | undefined;
  /** Everything that was kept before this connection is here: sends may leave. */
  caughtUp = false;
  /** Unicode code points; as the server said, as soon as it has said so. */
  textCharactersMax = Number.POSITIVE_INFINITY;
  userId = 0;
  producer = 0;

  constructor(parts: CoreParts) {
    this.clock = parts.clock;
    this.random = parts.random;
    this.settings = parts.settings;
    this.keeper = parts.keeper;
    this.events = parts.events;
    this.cursor = parts.cursor;
  }

  channel(channelId: string): ChannelState {
    return this.channels.get(channelId) ?? this.addChannel(channelId, newChannelRecord(this.producer));
  }

  addChannel(channelId: string, record: ChannelRecord): ChannelState {
    const channel = new ChannelState(channelId, record, this.settings);
    this.channels.set(channelId, channel);
    return channel;
  }

  channelChange(channel: ChannelState): StoreChange {
    return { key: recordKeys.channel(channel.id), value: encodeJson(channel.record()) };
  }

  cursorChange(): StoreChange {
    return { key: recordKeys.cursor, value: encodeJson(this.cursor.value) };
  }
}
