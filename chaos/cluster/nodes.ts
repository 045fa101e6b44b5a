// Nodes that die, leave, and hand over, under people who go on chatting.

import { setTimeout as pause } from "node:timers/promises";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { type Chatter, gather, percentile, servedSince, stateArrival, statePromises, until } from "./chatter.ts";
import type { Scenario, World } from "./scenario.ts";
import { type Seat, takeSeat } from "./seat.ts";

const SERVICE_BACK_MS = 8_000;
const HANDOFF_MS = 300;
const HANDOFFS = 24;
const WARM_UP_HANDOFFS = 12;
const GATEWAY_BACK_MS = 5_000;
/** What a node says of its version, once it was upgraded: nothing is balanced while versions are mixed. */
const UPGRADED = { MADANG_CLUSTER_VERSION: "0.3.0" };
const SETTLED_MS = 60_000;

export const nodes: Scenario = {
  name: "nodes die, leave and hand over under people who chat",
  withinMs: 420_000,
  async run(world) {
    const cluster = await world.cluster({ actors: 3, gateways: 2 });
    const seat = await takeSeat(cluster.settings);
    const chatter = await gather({ cluster, pairs: 8, everyMs: 500, groupEvery: 12 });
    const stage = { world, cluster, seat, chatter };
    try {
      await handoffs(stage, "nobody else about");
      chatter.talk();
      await pause(3_000);
      await handoffs(stage, `beside ${chatter.devices.length} people who chat`);
      await drain(stage);
      await upgrade(stage);
      await killedGateway(stage);
      const coordinator = (await seat.state()).coordinator.nodeId.split("#")[0] as string;
      await killedActors(stage, coordinator, "the coordinator");
      const other = ["actors-1", "actors-2", "actors-3"].find((name) => name !== coordinator) as string;
      await killedActors(stage, other, "no coordinator");
      await stateArrival(world, chatter, SETTLED_MS);
      await unfinishedFanOuts(stage, other);
      await statePromises(world, chatter);
    } finally {
      await chatter.close();
      await seat.close();
    }
  },
};

interface Stage {
  readonly world: World;
  readonly cluster: Cluster;
  readonly seat: Seat;
  readonly chatter: Chatter;
}

/** One shard goes round, and somebody posts to a channel of it without a pause: no post may wait long. */
async function handoffs({ world, cluster, seat, chatter }: Stage, beside: string): Promise<void> {
  const errorsBefore = chatter.errors.length;
  const [ann, bob] = (await seat.people(2)) as [number, number];
  const channelId = `d${Math.min(ann, bob)}.${Math.max(ann, bob)}`;
  const shard = seat.shardOf(channelId);
  const posts: Post[] = [];
  let over = false;
  const posting = (async () => {
    for (let number = 1; !over; number++) {
      const content = { text: { text: `post ${number}`, replyTo: 0 } };
      const startMs = performance.now();
      await seat.channels(channelId).post({ userId: ann, producer: 1, number, content });
      posts.push({ startMs, endMs: performance.now() });
      await pause(1);
    }
  })();
  const handOff = async () => {
    const to = ["actors-1", "actors-2", "actors-3"].find((name) => name !== seat.ownerOf(shard)) as string;
    const fromMs = performance.now();
    await seat.move(shard, to, false);
    const movedMs = performance.now();
    await pause(300);
    // The one that waits longest may not be answered yet.
    await until("a post of after the move is answered", () => (posts.at(-1)?.startMs ?? 0) > movedMs, 30_000);
    return longest(posts.filter(({ endMs }) => endMs > fromMs));
  };
  // Every node has carried out its part of one, and a ring that has just started answers as it will.
  for (let at = 0; at < WARM_UP_HANDOFFS; at++) await handOff();
  posts.length = 0;
  await until("posts are answered", () => posts.length > 100, 30_000);
  const calm = { medianMs: percentile(waits(posts), 0.5), longestMs: longest(posts) };
  const before = await handedOff(cluster);
  const gaps: number[] = [];
  for (let at = 0; at < HANDOFFS; at++) gaps.push(await handOff());
  over = true;
  await posting;
  const after = await handedOff(cluster);
  const count = after.count - before.count;
  const meanMs = (after.sumMs - before.sumMs) / count;
  world.say(`from the request to the old owner until the new one serves: ${ms(meanMs)}, the mean of ${count}`);
  world.fact(
    chatter.errors.length === errorsBefore,
    `no hand-off was seen as an error by a user, and none of ${posts.length} posts failed`,
  );
  gaps.sort((a, b) => a - b);
  const longestMs = percentile(gaps, 1);
  world.figure(
    longestMs < HANDOFF_MS,
    `${gaps.length} planned hand-offs: the longest wait of a post was ${ms(percentile(gaps, 0.5))} (median), ` +
      `${ms(longestMs)} (longest), ${gaps.filter((gap) => gap >= HANDOFF_MS).length} of ${HANDOFF_MS} ms or more; ` +
      `without one ${ms(calm.medianMs)}, and ${ms(calm.longestMs)}, ${beside}`,
    `below ${HANDOFF_MS} ms`,
  );
}

interface Post {
  readonly startMs: number;
  readonly endMs: number;
}

const waits = (posts: readonly Post[]) => posts.map(({ startMs, endMs }) => endMs - startMs).sort((a, b) => a - b);
const longest = (posts: readonly Post[]) => percentile(waits(posts), 1);

/** As the coordinators have counted. */
async function handedOff({ nodes }: Cluster): Promise<{ readonly count: number; readonly sumMs: number }> {
  let count = 0;
  let sumMs = 0;
  for (const { httpUrl, alive } of nodes.values()) {
    if (!alive) continue;
    const text = await (await fetch(`${httpUrl}/metrics`)).text();
    const read = (name: string) => Number(new RegExp(`^${name} (.+)$`, "m").exec(text)?.[1] ?? 0);
    count += read("madang_handoffs_total");
    sumMs += read("madang_handoff_ms_total");
  }
  return { count, sumMs };
}

async function drain({ world, cluster, chatter }: Stage): Promise<void> {
  const errorsBefore = chatter.errors.length;
  const startedMs = performance.now();
  const code = await cluster.node("actors-2").stop();
  const tookMs = performance.now() - startedMs;
  await pause(2_000);
  const latencies = chatter.latencies(startedMs, performance.now() - 1_000);
  world.fact(
    code === 0 && chatter.errors.length === errorsBefore,
    `an actor node that is told to stop leaves in ${ms(tookMs)}: exit code ${code}, ` +
      `${chatter.errors.length - errorsBefore} errors seen by users, longest ack ${ms(percentile(latencies, 1))}`,
  );
  await cluster.start("actors-2", "actors");
  const drained = performance.now();
  await cluster.command("drain", "actors-3");
  world.fact(true, `madang drain actors-3: empty after ${ms(performance.now() - drained)}`);
  await cluster.node("actors-3").stop();
  await cluster.start("actors-3", "actors");
}

/** Two versions at once, one node after another. */
async function upgrade({ world, cluster, chatter, seat }: Stage): Promise<void> {
  const errorsBefore = chatter.errors.length;
  for (const name of ["actors-1", "actors-2", "actors-3"]) {
    await cluster.node(name).stop();
    await cluster.start(name, "actors", UPGRADED);
    await pause(500);
  }
  const { members } = await seat.state();
  const versions = members.filter(({ roles }) => roles.includes("actors")).map(({ version }) => version);
  world.fact(
    versions.length === 3 && versions.every((version) => version === "0.3.0") && chatter.errors.length === errorsBefore,
    `a rolling upgrade of three actor nodes, two versions at once: ${chatter.errors.length - errorsBefore} errors seen by users`,
  );
  await shared(seat, 3);
}

async function shared(seat: Seat, nodeCount: number): Promise<void> {
  await until(
    "the shards are shared fairly",
    async () => {
      const counts = new Map<string, number>();
      for (const { nodeId } of (await seat.state()).table?.owners ?? [])
        counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
      return counts.size === nodeCount && Math.min(...counts.values()) > (seat.shardCount / nodeCount) * 0.85;
    },
    60_000,
  );
}

async function killedGateway({ world, cluster, chatter }: Stage): Promise<void> {
  const lostAtMs = new Map<string, number>();
  const backAtMs = new Map<string, number>();
  const ends = chatter.devices.map((device) =>
    device.client.on("state", ({ phase }) => {
      if (phase === "offline" && !lostAtMs.has(device.name)) lostAtMs.set(device.name, performance.now());
      if (phase === "online" && lostAtMs.has(device.name)) backAtMs.set(device.name, performance.now());
    }),
  );
  const killedMs = performance.now();
  await cluster.node("gateway-1").kill();
  await until("somebody noticed", () => lostAtMs.size > 0, 10_000);
  await until("all are back", () => [...lostAtMs.keys()].every((name) => backAtMs.has(name)), 30_000);
  for (const end of ends) end();
  const longest = Math.max(...backAtMs.values()) - killedMs;
  world.figure(
    longest <= GATEWAY_BACK_MS,
    `gateway killed: its ${lostAtMs.size} clients are on another and in sync within ${ms(longest)}`,
    `${GATEWAY_BACK_MS} ms`,
  );
  world.fact(true, "every client of the killed gateway is on another and in sync");
  await cluster.start("gateway-1", "gateway");
}

async function killedActors({ world, cluster, chatter, seat }: Stage, name: string, what: string): Promise<void> {
  await pause(1_000);
  const before = chatter.latencies(performance.now() - 3_000, performance.now() - 500);
  const shards = (await seat.state()).table?.owners.filter(({ nodeId }) => nodeId.split("#")[0] === name).length;
  const killedMs = performance.now();
  await cluster.node(name).kill();
  const longest = await servedSince(chatter, killedMs, 30_000);
  world.figure(
    longest <= SERVICE_BACK_MS,
    `${name} killed (${what}, ${shards} shards): every channel is served again within ${ms(longest)} ` +
      `(before: p50 ${ms(percentile(before, 0.5))}, p99 ${ms(percentile(before, 0.99))})`,
    `${SERVICE_BACK_MS} ms`,
  );
  world.fact(true, `after the death of ${name} every channel is served again`);
  await cluster.start(name, "actors", UPGRADED);
  await shared(seat, 3);
  await pause(3_000);
  const after = chatter.latencies(performance.now() - 3_000, performance.now() - 500);
  world.say(`after healing: p50 ${ms(percentile(after, 0.5))}, p99 ${ms(percentile(after, 0.99))}`);
}

/** A burst, and its owner dies while it is told to others. Nobody says anything afterwards. */
async function unfinishedFanOuts({ world, cluster, chatter }: Stage, name: string): Promise<void> {
  chatter.talk();
  await pause(400);
  const killed = cluster.node(name).kill();
  await chatter.hush();
  await killed;
  const all = await chatter.settled(SETTLED_MS);
  world.fact(
    all,
    "an owner dies in the middle of its fan-outs, and nobody asks: all that was acknowledged reaches everybody",
  );
}

export const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
