// Following one channel: a lease that is renewed at its owner, the entries that the owner tells, and the log for what was not
// told. Nobody is asked whether an owner has changed or a notice was lost: a hole in the ids shows it, or the next renewal,
// which says how far the channel goes.
//
// (W1) The application is given every settled entry above the id that it named, once, in order; one call at a time.
// (W2) A refusal that no time will heal ends it; everything else is tried again for ever.

import { type ChannelService, Entry, HistoryDirection, type SettledNotice } from "../../proto/index.ts";
import { backoffMs } from "../backoff.ts";
import type { Clock, Random, Timer } from "../ports.ts";
import { ServiceError, serviceError } from "./errors.ts";
import { Feed, type Sized } from "./feed.ts";
import type { Reference } from "./reference.ts";
import type { ServiceSettings } from "./settings.ts";

/** Ascending, dense. The next ones come when its promise has resolved; if it rejects, following ends. */
export type OnEntries = (entries: readonly Entry[]) => void | Promise<void>;

export interface Follow {
  /** Everything up to here was given to the application, and it was done with it: keep it, and follow after it next time. */
  readonly lastId: number;
  /**
   * Resolves when following was stopped. Rejects when it cannot go on: with what the application threw, or with a ServiceError
   * such as SERVICE_NOT_ALLOWED or LOG_WENT_BACK.
   */
  readonly done: Promise<void>;
  /** Gives nothing more; resolves when the application has done with what it was given. Not to be awaited in `onEntries`. */
  stop(): Promise<void>;
}

export interface FollowOptions {
  readonly channel: Reference<typeof ChannelService>;
  readonly channelId: string;
  /** Under which the service receives. */
  readonly follower: string;
  readonly afterId: number;
  readonly onEntries: OnEntries;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: ServiceSettings;
  /** It is over, for whatever reason. */
  readonly onEnded: () => void;
}

export class Following implements Follow {
  readonly done: Promise<void>;
  lastId: number;
  readonly #options: FollowOptions;
  readonly #feed: Feed;
  #resolve: () => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #ended = false;
  #giving = false;
  #reading = false;
  #renewing = false;
  #failures = 0;
  #renewal: Timer | undefined;
  #readAgain: Timer | undefined;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.lastId = options.afterId;
    this.#feed = new Feed(options.afterId, options.settings);
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    void this.#renew();
  }

  /** The owner tells. */
  settled({ entries }: SettledNotice): void {
    if (this.#ended) return;
    for (const record of entries) this.#feed.add(sized(record));
    this.#goOn();
  }

  /** Notices may have been lost. */
  reconnected(): void {
    this.#renewal?.cancel();
    void this.#renew();
  }

  stop(): Promise<void> {
    this.#end();
    if (!this.#giving) this.#resolve();
    return this.done;
  }

  #goOn(): void {
    if (this.#ended) return;
    if (!this.#giving) void this.#give();
    if (!this.#reading && this.#feed.lacks) void this.#read();
  }

  /** (W1) */
  async #give(): Promise<void> {
    this.#giving = true;
    try {
      for (let entries = this.#feed.take(); entries.length > 0 && !this.#ended; entries = this.#feed.take()) {
        await this.#options.onEntries(entries);
        this.lastId = entries.at(-1)?.messageId ?? this.lastId;
        if (!this.#reading && this.#feed.lacks && !this.#ended) void this.#read();
      }
    } catch (thrown) {
      this.#fail(thrown);
    }
    this.#giving = false;
    if (this.#ended) this.#resolve();
  }

  async #read(): Promise<void> {
    const { channel, channelId, settings } = this.#options;
    this.#reading = true;
    const anchor = this.#feed.to;
    try {
      const history = { channelId, anchor, direction: HistoryDirection.AFTER, limit: settings.followPageEntries };
      const page = await channel.history({ userId: 0, history });
      this.#judge(anchor, page.lastId);
      this.#feed.fill(page.entries.map(sized));
      if (this.#feed.to === anchor && this.#feed.lacks) throw serviceError("BAD_REPLY", { retryable: true });
      this.#failures = 0;
      this.#reading = false;
      this.#goOn();
    } catch (thrown) {
      this.#reading = false;
      this.#later(thrown, (pauseMs) => {
        this.#reading = true;
        this.#readAgain = this.#options.clock.after(pauseMs, () => {
          this.#reading = false;
          this.#goOn();
        });
      });
    }
  }

  async #renew(): Promise<void> {
    if (this.#renewing || this.#ended) return;
    this.#renewing = true;
    const { channel, follower, clock, settings } = this.#options;
    const had = this.#feed.to;
    const arm = (delayMs: number) => {
      this.#renewal = clock.after(delayMs, () => void this.#renew());
    };
    try {
      const { lastId, leaseMs } = await channel.follow(
        { follower, leaseMs: settings.followLeaseMs },
        { repeatable: true },
      );
      this.#renewing = false;
      if (this.#ended) return;
      this.#judge(had, lastId);
      this.#feed.know(lastId);
      this.#failures = 0;
      arm(Math.min(settings.followRenewMs, leaseMs / 3));
      this.#goOn();
    } catch (thrown) {
      this.#renewing = false;
      this.#later(thrown, arm);
    }
  }

  /** Settled entries are not lost. What the channel says has to reach what it had when it was asked. */
  #judge(had: number, lastId: number): void {
    if (lastId < had) throw serviceError("LOG_WENT_BACK");
  }

  /** (W2) */
  #later(thrown: unknown, again: (pauseMs: number) => void): void {
    if (this.#ended) return;
    if (!(thrown instanceof ServiceError) || (!thrown.retryable && thrown.executed === "no")) return this.#fail(thrown);
    const { random, settings } = this.#options;
    const limits = { backoffBaseMs: settings.retryPauseMs, backoffCapMs: settings.followRenewMs };
    const pauseMs = Math.max(1, thrown.retryAfterMs, backoffMs(this.#failures, random, limits));
    this.#failures += 1;
    again(Math.min(pauseMs, settings.followRenewMs));
  }

  #fail(error: unknown): void {
    this.#end();
    this.#reject(error);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#renewal?.cancel();
    this.#readAgain?.cancel();
    this.#options.onEnded();
  }
}

function sized(record: Uint8Array): Sized {
  return { entry: Entry.decode(record), bytes: record.byteLength };
}
