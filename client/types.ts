// What an application sees of the SDK besides functions: states and events.

import type { Content, Entry, Presence, Sent } from "../proto/client.ts";
import type { ClientError } from "./errors.ts";
import type { Gap } from "./timeline.ts";

/**
 * loggedOut: nobody is logged in. offline: no connection; `retryInMs` until the next attempt, undefined when none is
 * planned. connecting: on the way. syncing: connected, and what was missed is coming. online: everything that was kept
 * before is here. replaced: the same device has connected somewhere else, and this client keeps quiet until `connect()`.
 * closed: for good.
 */
export type ClientState =
  | { readonly phase: "loggedOut"; readonly reason: "new" | "asked" | "ended" }
  | { readonly phase: "offline"; readonly reason: string; readonly retryInMs: number | undefined }
  | { readonly phase: "connecting"; readonly attempt: number }
  | { readonly phase: "syncing"; readonly sessionId: number }
  | { readonly phase: "online"; readonly sessionId: number }
  | { readonly phase: "replaced" }
  | { readonly phase: "closed" };

/** A send that waits for its acknowledgement. */
export interface PendingSend {
  /** Names it on this device, also after a restart. */
  readonly key: number;
  readonly channelId: string;
  readonly content: Content;
}

export interface ClientEvents {
  state: ClientState;
  /** New entries of one channel: ascending, without a hole, each once. */
  entries: { readonly channelId: string; readonly entries: readonly Entry[] };
  /** Ids that this device will not get: from before its person was a member, or lost by the server. */
  gap: { readonly channelId: string; readonly gap: Gap };
  /** Unread count, read mark, membership or title of a channel have changed, or the channel is new. */
  channel: { readonly channelId: string };
  /** A send was acknowledged; also one that a former run of the program has left. */
  sent: { readonly key: number; readonly channelId: string; readonly sent: Sent };
  /** A send was refused and will not be tried again. */
  refused: { readonly key: number; readonly channelId: string; readonly content: Content; readonly error: ClientError };
  /** Another member has received, and read, up to here. */
  receipt: {
    readonly channelId: string;
    readonly userId: number;
    readonly deliveredId: number;
    readonly readId: number;
  };
  typing: { readonly channelId: string; readonly userId: number; readonly typing: boolean };
  presence: { readonly presences: readonly Presence[] };
  /** Something went wrong that the SDK goes on from by itself; for logs. */
  problem: { readonly what: string; readonly error: unknown };
}
