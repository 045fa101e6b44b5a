// The internal services that follow a channel: each is told of every entry that settles while its lease lasts. Kept in memory
// only. A service follows again before its lease ends, and asks History for what it has not seen.

import type { FollowerService } from "../../proto/index.ts";
import { type Clock, type Reference, type References, runtimeErrors } from "../../runtime/index.ts";
import type { ChatSettings } from "../settings.ts";

interface Follower {
  readonly reference: Reference<typeof FollowerService>;
  untilMs: number;
}

export interface FollowersOptions {
  readonly channelId: string;
  readonly clock: Clock;
  readonly references: References<typeof FollowerService>;
  readonly settings: ChatSettings;
}

export class Followers {
  readonly #options: FollowersOptions;
  readonly #byId = new Map<string, Follower>();

  constructor(options: FollowersOptions) {
    this.#options = options;
  }

  /** Those whose lease lasts; others are forgotten. */
  get count(): number {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [id, { untilMs }] of this.#byId) if (untilMs <= nowMs) this.#byId.delete(id);
    return this.#byId.size;
  }

  /** Gives the lease in milliseconds. */
  add(id: string, leaseMs: number): number {
    const { clock, references, settings } = this.#options;
    if (!this.#byId.has(id) && this.count >= settings.followersMax) {
      throw runtimeErrors.OVERLOADED({ message: "The channel has too many followers.", retryAfterMs: leaseMs });
    }
    const granted = Math.min(Math.max(leaseMs, 1), settings.followLeaseMsMax);
    this.#byId.set(id, { reference: references(id), untilMs: clock.monotonicMs() + granted });
    return granted;
  }

  remove(id: string): void {
    this.#byId.delete(id);
  }

  tell(firstId: number, entries: readonly Uint8Array[]): void {
    if (this.#byId.size === 0 || this.count === 0) return;
    const notice = { channelId: this.#options.channelId, firstId, entries: [...entries] };
    for (const { reference } of this.#byId.values()) reference.settled(notice);
  }
}
