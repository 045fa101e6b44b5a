// One person who posts to one channel, at the actor itself: numbered texts, some at a time, each again until it is answered for
// good. It writes down every answer.

import { monitorEventLoopDelay } from "node:perf_hooks";
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
  /** By how much the latest one was late, in milliseconds. */
  longestOverMs: number;
  /** What all its texts begin with, and nobody else's. */
  readonly prefix: string;
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
/** The sweep of deadlines, and some turns of the event loop. */
const LATE_MS = 500;
/** How long a busy machine has kept this process waiting: so much later it can see an end at most. */
const stalls = monitorEventLoopDelay({ resolution: 20 });
const longestStallMs = () => stalls.max / 1e6;

export function createPoster(seat: Seat, userId: number, peerId: number, pauseMs: number): Poster {
  const channelId = `d${Math.min(userId, peerId)}.${Math.max(userId, peerId)}`;
  const outcomes = new Map<string, number>();
  const acked: Acked[] = [];
  const open = new Set<number>();
  let stopped = false;
  let next = 1;

  const prefix = `«${channelId} `;
  const text = (number: number) => `${prefix}${number}»`;
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
      const overMs = performance.now() - startedMs - DEADLINE_MS;
      poster.longestOverMs = Math.max(poster.longestOverMs, overMs);
      if (overMs > LATE_MS + longestStallMs()) poster.late += 1;
    }
  };

  const poster: Poster = {
    channelId,
    shard: seat.shardOf(channelId),
    userId,
    acked,
    outcomes,
    late: 0,
    longestOverMs: 0,
    prefix,
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

/** Several who post, each to a channel of two people of its own. */
export interface Posting {
  readonly posters: readonly Poster[];
  acked(): number;
  late(): number;
  /** How calls ended but for `ok`, in words. */
  outcomes(): string;
  forgetOutcomes(): void;
  /** No more numbers; resolves when each is answered. */
  stop(): Promise<void>;
}

export function startPosting(posters: readonly Poster[]): Posting {
  stalls.enable();
  const running = posters.map((poster) => poster.run());
  const sum = (of: (poster: Poster) => number) => posters.reduce((total, poster) => total + of(poster), 0);
  return {
    posters,
    acked: () => sum(({ acked }) => acked.length),
    late: () => sum(({ late }) => late),
    outcomes() {
      const total = new Map<string, number>();
      for (const { outcomes } of posters) {
        for (const [outcome, count] of outcomes) total.set(outcome, (total.get(outcome) ?? 0) + count);
      }
      total.delete("ok");
      const longestMs = Math.round(Math.max(...posters.map(({ longestOverMs }) => longestOverMs)));
      const stallMs = Math.round(longestStallMs());
      const over = `; the latest ended ${longestMs} ms after its deadline, in a process that stood still for up to ${stallMs} ms`;
      return ([...total].map(([outcome, count]) => `${count} ${outcome}`).join(", ") || "all ok") + over;
    },
    forgetOutcomes() {
      for (const { outcomes } of posters) outcomes.clear();
    },
    async stop() {
      for (const poster of posters) poster.stop();
      await Promise.all(running);
    },
  };
}

/** Each of these gets two more acknowledgements: one may have been on its way. */
export async function served(posters: readonly Poster[], withinMs: number): Promise<void> {
  const before = new Map(posters.map((poster) => [poster, poster.acked.length]));
  const untilMs = performance.now() + withinMs;
  const waiting = () => posters.filter((poster) => poster.acked.length < (before.get(poster) ?? 0) + 2);
  while (waiting().length > 0) {
    if (performance.now() > untilMs) {
      const late = waiting().map(
        ({ channelId, shard, outcomes }) => `${channelId} (${shard}) ${[...outcomes].join(" ")}`,
      );
      throw new Error(`not served within ${withinMs} ms: ${late.join("; ")}`);
    }
    await pause(10);
  }
}

export async function gatherPosters(seat: Seat, count: number, pauseMs: number): Promise<Poster[]> {
  const people = await seat.people(count * 2);
  return Array.from({ length: count }, (_, at) =>
    createPoster(seat, people[at * 2] as number, people[at * 2 + 1] as number, pauseMs),
  );
}
