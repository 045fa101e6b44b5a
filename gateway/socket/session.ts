// One WebSocket: what the edge remembers of it. Kept small, for there are many.

import type { WebSocket } from "uWebSockets.js";
import type { PushNotice } from "../../proto/index.ts";

/** A frame that waits to leave: whole, or a delivery that is put together when it leaves. */
export type Outgoing = Uint8Array | PushNotice;

/** Who said hello. */
export interface Identity {
  readonly userId: number;
  readonly deviceId: number;
  readonly loginId: string;
}

/**
 * new: nothing was said yet. attaching: the ticket is looked at and the user's actor asked; pushes that come meanwhile are
 * held. open: fed with pushes. behind: read too slowly; nothing is fed until it asks for a sync. closed: for good.
 */
export type SessionPhase =
  | { readonly name: "new" }
  | { readonly name: "attaching"; held: PushNotice[]; overflowed: boolean; userId: number }
  | { readonly name: "open" }
  | { readonly name: "behind"; told: boolean }
  | { readonly name: "closed" };

export const phases = {
  new: { name: "new" },
  open: { name: "open" },
  closed: { name: "closed" },
} as const satisfies Record<string, SessionPhase>;

/** idle: attached, or not yet. running: the user's actor is being asked. again: and has to be asked once more. */
export type Attachment = "idle" | "running" | "again";

export interface Session {
  readonly id: number;
  readonly address: string;
  socket: WebSocket<Session> | undefined;
  phase: SessionPhase;
  identity: Identity | undefined;
  /** Pushes of a lower epoch come from an owner that has been replaced. */
  epoch: number;
  attachment: Attachment;
  pending: Outgoing[] | undefined;
  requestsInFlight: number;
  /** Token bucket: what is left, and when that was counted, by the monotonic clock. */
  tokens: number;
  tokensAtMs: number;
  lastFrameMs: number;
  lastReportMs: number;
  silent: boolean;
  loggedOut: boolean;
  watching: boolean;
}
