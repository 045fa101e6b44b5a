// One channel, as a service uses it.

import { type ChannelMember, ChannelService, Entry, HistoryDirection, type PostReply } from "../../proto/index.ts";
import type { CallOptions, Calls } from "./calls.ts";
import type { Follow, OnEntries } from "./follow.ts";
import { createReference } from "./reference.ts";

/** A system message. (producer, number) is its identity: the same again gives the same id, however often it is sent. */
export interface Announcement {
  /** One outbox of the service: see `newProducer`. Kept by the service. */
  readonly producer: number;
  /** 1, 2, 3 … within producer and channel, kept by the service before it sends. */
  readonly number: number;
  readonly text: string;
}

/** Which page: entries below, above or around an id; without any, the newest. */
export interface HistoryRequest {
  readonly before?: number;
  readonly after?: number;
  readonly around?: number;
  /** Default 50, at most 200. */
  readonly limit?: number;
}

export interface Channel {
  readonly id: string;
  /** Resolves when the message is kept, with its id. Sent again until the deadline, for its number makes it count once. */
  announce(announcement: Announcement, options?: CallOptions): Promise<PostReply>;
  /** Entries, ascending, and the id of the newest that the channel has. */
  history(
    request?: HistoryRequest,
    options?: CallOptions,
  ): Promise<{ readonly entries: readonly Entry[]; readonly lastId: number }>;
  describe(
    options?: CallOptions,
  ): Promise<{ readonly title: string; readonly lastId: number; readonly members: readonly ChannelMember[] }>;
  /** Gives every settled entry above `afterId` (0: from the beginning) to `onEntries`, once, in order, until it is stopped. */
  follow(afterId: number, onEntries: OnEntries): Follow;
}

/** The house asks: it sees what every member sees. */
const THE_HOUSE = 0;

export function createChannel(calls: Calls, id: string, follow: Channel["follow"]): Channel {
  const channel = createReference(calls, ChannelService, id);
  return {
    id,
    announce: (announcement, options) => channel.announce(announcement, { ...options, repeatable: true }),
    async history({ before, after, around, limit = 0 } = {}, options = {}) {
      const direction =
        after !== undefined
          ? HistoryDirection.AFTER
          : around !== undefined
            ? HistoryDirection.AROUND
            : HistoryDirection.BEFORE;
      const history = { channelId: id, anchor: after ?? around ?? before ?? 0, direction, limit };
      const { entries, lastId } = await channel.history({ userId: THE_HOUSE, history }, options);
      return { entries: entries.map((record) => Entry.decode(record)), lastId };
    },
    async describe(options = {}) {
      const { title, lastId, members } = await channel.describe({ userId: THE_HOUSE }, options);
      return { title, lastId, members };
    },
    follow,
  };
}
