// One channel, as an application uses it.

import { type Entry, HistoryDirection, type Page, type Presence, type Sent } from "../proto/client.ts";
import type { ChannelState } from "./channel-state.ts";
import { type Message, toContent } from "./content.ts";
import type { Core } from "./core.ts";
import { clientError } from "./errors.ts";
import type { ChannelDescription, People } from "./people.ts";
import type { Sender } from "./sender.ts";
import type { PendingSend } from "./types.ts";
import type { Watermarks } from "./watermarks.ts";

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
  /** Of a group; "" of a 1:1, or when it was not told yet: see `describe`. */
  readonly title: string;
  /** Id of the newest entry. */
  readonly lastId: number;
  readonly unread: number;
  readonly readId: number;
  /** No longer a member. */
  readonly left: boolean;
  /** The newest entries of this run of the program, ascending and dense, at most 100: for older ones ask `history`. */
  readonly recent: readonly Entry[];
  /** Sends that wait for their acknowledgement, in their order. */
  readonly outbox: readonly PendingSend[];

  /**
   * Sends a text, or another content. The message is kept on this device first, and resent over reconnections and restarts
   * until the server answers. Resolves when it is kept there for ever; rejects with a ClientError when it was refused.
   */
  send(message: Message, options?: { readonly replyTo?: number }): Promise<Sent>;
  edit(messageId: number, text: string): Promise<Sent>;
  delete(messageId: number): Promise<Sent>;
  react(messageId: number, emoji: string, options?: { readonly removed?: boolean }): Promise<Sent>;
  /** Rejects with NOT_CONNECTED, CONNECTION_LOST, or what the server says, such as NOT_A_MEMBER. */
  history(request?: HistoryRequest): Promise<Page>;
  /** The person has read up to `messageId`; without it, everything. Told to the other devices and members. */
  markRead(messageId?: number): Promise<void>;
  /** Tells the others that the person is typing; repeated calls are thinned out. */
  typing(typing: boolean): void;
  /** Presence of the members, once. */
  presence(): Promise<readonly Presence[]>;
  /** Title and members, from the server. */
  describe(): Promise<ChannelDescription>;
}

export interface ChannelParts {
  readonly core: Core;
  readonly sender: Sender;
  readonly watermarks: Watermarks;
  readonly people: People;
}

export function createChannel(state: ChannelState, parts: ChannelParts): Channel {
  return new ChannelHandle(state, parts);
}

class ChannelHandle implements Channel {
  readonly #state: ChannelState;
  readonly #parts: ChannelParts;
  #typingToldMs = Number.NEGATIVE_INFINITY;

  constructor(state: ChannelState, parts: ChannelParts) {
    this.#state = state;
    this.#parts = parts;
  }

  get id() {
    return this.#state.id;
  }
  get title() {
    return this.#state.title;
  }
  get lastId() {
    return this.#state.timeline.lastId;
  }
  get unread() {
    return this.#state.unread;
  }
  get readId() {
    return this.#state.readId;
  }
  get left() {
    return this.#state.left;
  }
  get recent() {
    return this.#state.recent;
  }
  get outbox() {
    return this.#state.outbox.items.map(({ key, content }) => ({ key, channelId: this.id, content }));
  }

  send(message: Message, { replyTo = 0 }: { readonly replyTo?: number } = {}): Promise<Sent> {
    return this.#parts.sender.send(this.#state, toContent(message, replyTo));
  }
  edit(messageId: number, text: string): Promise<Sent> {
    return this.send({ edit: { messageId, text } });
  }
  delete(messageId: number): Promise<Sent> {
    return this.send({ deletion: { messageId } });
  }
  react(messageId: number, emoji: string, { removed = false }: { readonly removed?: boolean } = {}): Promise<Sent> {
    return this.send({ reaction: { messageId, emoji, removed } });
  }

  async history({ before, after, around, limit = 0 }: HistoryRequest = {}): Promise<Page> {
    const { BEFORE, AFTER, AROUND } = HistoryDirection;
    const direction = around !== undefined ? AROUND : after !== undefined ? AFTER : BEFORE;
    const history = { channelId: this.id, anchor: around ?? after ?? before ?? 0, direction, limit };
    const { page } = await this.#connection().request({ history });
    if (!page) throw clientError("BAD_REPLY");
    return page;
  }

  async markRead(messageId = this.lastId): Promise<void> {
    const { readId, recent } = this.#state;
    if (messageId <= readId) return;
    const known = recent.find((entry) => entry.messageId === messageId)?.ordinal;
    const ordinal = messageId >= this.lastId ? this.#state.ordinal : (known ?? (await this.#ordinalOf(messageId)));
    this.#parts.watermarks.read(this.#state, Math.min(messageId, this.lastId), ordinal);
  }

  async #ordinalOf(messageId: number): Promise<number> {
    const { entries } = await this.history({ before: messageId + 1, limit: 1 });
    return entries[0]?.ordinal ?? 0;
  }

  typing(typing: boolean): void {
    const { clock, settings, connection } = this.#parts.core;
    const nowMs = clock.monotonicMs();
    if (typing && nowMs - this.#typingToldMs < settings.typingEveryMs) return;
    this.#typingToldMs = typing ? nowMs : Number.NEGATIVE_INFINITY;
    connection?.tell({ typing: { channelId: this.id, typing } });
  }

  async presence(): Promise<readonly Presence[]> {
    const { presences } = await this.#connection().request({ presenceQuery: { channelId: this.id } });
    return presences?.presences ?? [];
  }

  async describe(): Promise<ChannelDescription> {
    const description = await this.#parts.people.describe(this.id);
    if (description.title !== this.#state.title) {
      this.#state.title = description.title;
      this.#parts.core.keeper.put([this.#parts.core.channelChange(this.#state)]);
    }
    return description;
  }

  #connection() {
    const { connection } = this.#parts.core;
    if (connection === undefined) throw clientError("NOT_CONNECTED");
    return connection;
  }
}
