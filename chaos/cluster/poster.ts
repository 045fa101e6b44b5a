// One person who posts to one channel, at the actor itself: numbered texts, some at a time, each again until it is answered for
// good. It writes down every answer.

import { setTimeout as pause } from "node:timers/promises";
import { toMadangError } from "../../runtime/index.ts";
import type { Seat } from "./seat.ts";

export interface Acked {
  readonly number: number;
  readonly messageId: number;
}

export interface Poster {
  readonly channelId: string;
  readonly shard: number;
  readonly userId: number;
  readonly acked: Acked[];
  /** How calls ended, by `ok`, `refused CODE` and `unknown CODE`. */
  readonly outcomes: Map<string, number>;
  /** Calls that took longer than their deadline and a little. */
  late: number;
  /** Text of the number, as it stands in a record. */
  text(number: number): string;
  /** Numbers that were posted and have no ack. */
  readonly open: ReadonlySet<number>;
  /** Posts until it is stopped, then until everything is answered. */
  run(): Promise<void>;
  stop(): void;
}

/** In flight of one poster, so that batches form. */
const AT_ONCE = 4;
const DEADLINE_MS = 2_000;
const LATE_MS = 500;

export function createPoster(seat: Seat, userId: number, peerId: number, pauseMs: number): Poster {
  const channelId = `d${Math.min(userId, peerId)}.${Math.max(userId, peerId)}`;
  const outcomes = new Map<string, number>();
  const acked: Acked[] = [];
  const open = new Set<number>();
  let stopped = false;
  let next = 1;

  const text = (number: number) => `«${channelId} ${number}»`;
  const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);

  /** True when it was acknowledged. */
  const post = async (number: number): Promise<boolean> => {
    const startedMs = performance.now();
    open.add(number);
    try {
      const content = { text: { text: text(number), replyTo: 0 } };
      const request = { userId, producer: 1, number, content };
      const { messageId } = await seat.channels(channelId).post(request, { deadlineMs: DEADLINE_MS });
      count("ok");
      acked.push({ number, messageId });
      open.delete(number);
      return true;
    } catch (thrown) {
      const error = toMadangError(thrown);
      count(`${error.executed === "no" ? "refused" : "unknown"} ${error.code}`);
      if (error.code === "ALREADY_KEPT") throw error; // it cannot be: so many are never in flight
      return false;
    } finally {
      if (performance.now() - startedMs > DEADLINE_MS + LATE_MS) poster.late += 1;
    }
  };

  const poster: Poster = {
    channelId,
    shard: seat.shardOf(channelId),
    userId,
    acked,
    outcomes,
    late: 0,
    text,
    open,
    async run() {
      while (!stopped) {
        const numbers = Array.from({ length: AT_ONCE }, () => next++);
        await Promise.all(numbers.map(post));
        // In their order: a later number is refused before an earlier one is kept.
        for (const number of numbers) while (open.has(number) && !(await post(number))) await pause(20);
        if (pauseMs > 0) await pause(pauseMs);
      }
    },
    stop() {
      stopped = true;
    },
  };
  return poster;
}
