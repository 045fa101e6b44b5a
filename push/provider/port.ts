// Whoever carries notifications to devices: Web Push, FCM, APNs, or a log.

/** Where a device is reached. */
export interface Registration {
  readonly deviceId: number;
  /** Which provider it belongs to. */
  readonly provider: string;
  /** The provider's name for the device: a secret, never logged. */
  readonly token: string;
}

/**
 * What to tell. Its collapse key is the channel: a device shows the newest of a channel, and one that gets an older or the same
 * one again keeps what it shows.
 */
export interface Notification {
  /** clear: silently take away what was shown of this channel, up to the message. */
  readonly kind: "notify" | "clear";
  readonly userId: number;
  readonly channelId: string;
  readonly messageId: number;
  readonly author: number;
  /** Unread entries of the channel; 0 with clear. */
  readonly unread: number;
}

export type PushOutcome =
  | { readonly kind: "ok" }
  /** The provider is busy or away. */
  | { readonly kind: "retry"; readonly afterMs: number; readonly reason: string }
  /** The device is gone: its registration is to be removed. */
  | { readonly kind: "dead" }
  /** It will never take this notification. */
  | { readonly kind: "failed"; readonly reason: string };

export interface PushProvider {
  /** A rejection counts as retry. The signal ends what has taken too long. */
  send(registration: Registration, notification: Notification, signal: AbortSignal): Promise<PushOutcome>;
}
