// A channel that is asked for fifty times as much as the others, and what the others notice of it.

import { setTimeout as pause } from "node:timers/promises";
import { toMadangError } from "../../runtime/index.ts";
import { percentile, until } from "./chatter.ts";
import { ms } from "./nodes.ts";
import type { Scenario, World } from "./scenario.ts";
import { type Seat, takeSeat } from "./seat.ts";

const POSTERS = 40;
/** Of one producer, and so of a channel with one. */
const FAIR_EVERY_MS = 400;
const TIMES_FAIR = 50;
/** Of each of the two people of the hot channel; it remembers so many. */
const PRODUCERS_A_PERSON = 20;
const CALM_MS = 10_000;
const HOT_MS = 10_000;
const SERVED_WITHIN_MS = 60_000;
const WARM_UP_MS = 3_000;
const ANSWERED_MS = 3_000;
const SLOWER_MAX = 1.5;
const DEADLINE_MS = 5_000;
const AGAIN_MS = 50;

interface Post {
  readonly sentMs: number;
  readonly tookMs: number;
}

/** One producer that posts at its pace, one text after the other. */
interface Producer {
  readonly channelId: string;
  readonly posts: readonly Post[];
  /** What it was refused with, or left in doubt. */
  readonly errors: readonly { readonly atMs: number; readonly code: string }[];
  stop(): Promise<void>;
}

function produce(seat: Seat, channelId: string, userId: number, producer: number, everyMs: number): Producer {
  const posts: Post[] = [];
  const errors: { atMs: number; code: string }[] = [];
  let stopped = false;
  const run = async () => {
    await pause(everyMs * Math.random());
    for (let number = 1; !stopped; number++) {
      const sentMs = performance.now();
      const content = { text: { text: `«${channelId} ${producer} ${number}»`, replyTo: 0 } };
      const request = { userId, producer, number, content };
      for (let kept = false; !kept && !stopped; ) {
        try {
          await seat.channels(channelId).post(request, { deadlineMs: DEADLINE_MS });
          kept = true;
        } catch (thrown) {
          errors.push({ atMs: performance.now(), code: toMadangError(thrown).code });
          await pause(AGAIN_MS);
        }
      }
      posts.push({ sentMs, tookMs: performance.now() - sentMs });
      await pause(Math.max(0, sentMs + everyMs - performance.now()));
    }
  };
  const running = run();
  return {
    channelId,
    posts,
    errors,
    async stop() {
      stopped = true;
      await running;
    },
  };
}

export const hotChannel: Scenario = {
  name: "a channel at fifty times its fair load slows only itself",
  withinMs: 180_000,
  async run(world) {
    const cluster = await world.cluster({ actors: 3 });
    const seat = await takeSeat(cluster.settings);
    try {
      await compare(world, seat);
    } finally {
      await seat.close();
    }
  },
};

async function compare({ fact, figure, say }: World, seat: Seat): Promise<void> {
  const people = await seat.people(POSTERS * 2 + 2);
  const pair = (at: number) => people.slice(at * 2, at * 2 + 2) as [number, number];
  const channelOf = ([one, other]: readonly [number, number]) => `d${Math.min(one, other)}.${Math.max(one, other)}`;
  const others = Array.from({ length: POSTERS }, (_, at) =>
    produce(seat, channelOf(pair(at)), pair(at)[0], 1, FAIR_EVERY_MS),
  );
  await until("everybody is served", () => others.every(({ posts }) => posts.length >= 3), SERVED_WITHIN_MS);
  await pause(WARM_UP_MS);
  const firstMs = performance.now();
  await pause(CALM_MS / 2);
  const secondMs = performance.now();
  await pause(CALM_MS / 2);

  const hotPair = pair(POSTERS);
  const hotEveryMs = (FAIR_EVERY_MS * PRODUCERS_A_PERSON * 2) / TIMES_FAIR;
  const hotFromMs = performance.now();
  const hot = hotPair.flatMap((userId) =>
    Array.from({ length: PRODUCERS_A_PERSON }, (_, at) =>
      produce(seat, channelOf(hotPair), userId, at + 1, hotEveryMs),
    ),
  );
  await pause(HOT_MS);
  const hotToMs = performance.now();
  await Promise.all(hot.map((producer) => producer.stop()));
  await pause(ANSWERED_MS);
  const afterMs = performance.now();
  await pause(CALM_MS / 2);
  const endMs = performance.now();
  await Promise.all(others.map((producer) => producer.stop()));

  const took = (producers: readonly Producer[], fromMs: number, toMs: number) =>
    producers
      .flatMap(({ posts }) => posts.filter(({ sentMs }) => sentMs >= fromMs && sentMs < toMs))
      .map(({ tookMs }) => tookMs)
      .sort((a, b) => a - b);
  const p99 = (latencies: readonly number[]) => percentile(latencies, 0.99);
  const calmParts = [took(others, firstMs, secondMs), took(others, secondMs, hotFromMs), took(others, afterMs, endMs)];
  const calm = calmParts.flat().sort((a, b) => a - b);
  // Three times the same, with nothing between: what differs among them is noise.
  const floorMs = Math.max(...calmParts.map(p99)) - Math.min(...calmParts.map(p99));
  const during = took(others, hotFromMs, hotToMs);
  const hotTook = took(hot, hotFromMs, hotToMs);
  const hotOwner = seat.ownerOf(seat.shardOf(channelOf(hotPair)));
  const beside = others.filter(({ channelId }) => seat.ownerOf(seat.shardOf(channelId)) === hotOwner);
  const besideTook = took(beside, hotFromMs, hotToMs);
  const rate = (latencies: readonly number[], overMs: number) =>
    `${((latencies.length / overMs) * 1_000).toFixed(0)}/s`;
  const line = (latencies: readonly number[]) =>
    `p50 ${ms(percentile(latencies, 0.5))}, p99 ${ms(p99(latencies))}, longest ${ms(percentile(latencies, 1))}`;
  say(
    `calm: ${POSTERS} channels, ${rate(calm, secondMs - firstMs + hotFromMs - secondMs + endMs - afterMs)}, ${line(calm)}`,
  );
  say(`calm, in three parts: p99 ${calmParts.map((part) => ms(p99(part))).join(", ")}; noise floor ${ms(floorMs)}`);
  say(
    `hot: the channel ${rate(hotTook, HOT_MS)} of ${((1_000 / FAIR_EVERY_MS) * TIMES_FAIR).toFixed(0)}/s wanted, ${line(hotTook)}`,
  );
  say(`the others meanwhile: ${rate(during, HOT_MS)}, ${line(during)}`);
  say(`of them the ${beside.length} on the same node (${hotOwner}): ${line(besideTook)}`);
  const boundMs = p99(calm) * SLOWER_MAX + floorMs;
  fact(during.length > POSTERS, `the others go on: ${during.length} of their posts were acknowledged meanwhile`);
  figure(
    p99(during) <= boundMs,
    `the p99 of the others goes from ${ms(p99(calm))} to ${ms(p99(during))}`,
    `${SLOWER_MAX} times, and the noise floor: ${ms(boundMs)}`,
  );
  const codes = (producers: readonly Producer[]) =>
    producers
      .flatMap(({ errors }) => errors)
      .filter(({ atMs }) => atMs >= hotFromMs && atMs < hotToMs)
      .map(({ code }) => code);
  const counted = (list: readonly string[]) =>
    [...new Set(list)].map((code) => `${list.filter((other) => other === code).length} ${code}`).join(", ") || "none";
  const refused = codes(others);
  fact(
    !refused.includes("OVERLOADED"),
    `no post of the others was refused for the load; errors of theirs: ${counted(refused)}`,
  );
  say(`errors of the hot one: ${counted(codes(hot))}; ${hotTook.length} of its posts were acknowledged`);
}
