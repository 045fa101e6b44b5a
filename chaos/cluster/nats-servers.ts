// Three NATS servers with routes between them, as in a data centre. Nodes are connected to any of them, so a batch crosses a
// route, what two nodes know of each other's subscriptions is a moment old, and a node that changes its server may overtake what
// it sent before. JetStream keeps the push queue on all three.

import { setTimeout as pause } from "node:timers/promises";
import type { Cluster, ClusterNode } from "../../tools/cluster/cluster.ts";
import { type Engine, startServices } from "../../tools/services/index.ts";
import { type Chatter, gather, isCalm, percentile, progress, stateArrival, statePromises, until } from "./chatter.ts";
import { ms } from "./nodes.ts";
import { gatherPosters, type Posting, startPosting } from "./poster.ts";
import type { Scenario, World } from "./scenario.ts";
import { takeSeat } from "./seat.ts";

const POSTERS = 4;
const POST_EVERY_MS = 200;
const SERVER_AWAY_MS = 4_000;
/** Longer than until its nodes notice. */
const SERVER_PAUSED_MS = 10_000;
const CALM_WITHIN_MS = 30_000;
const ANSWERED_WITHIN_MS = 15_000;
const SETTLED_MS = 60_000;
/** Pointers that a push job waits for are written within two seconds, and a job of a worker that lost its server comes again. */
const TOLD_WITHIN_MS = 90_000;
/** What was lost is noticed within two seconds, and is sent again. */
const REPAIRED_MS = 3_000;
/** As when a node dies: until its pings tell, a node waits for a server that is silent. */
const SILENCE_MS = 8_000;

interface Stage {
  readonly world: World;
  readonly servers: readonly Engine[];
  readonly chatter: Chatter;
  readonly posting: Posting;
}

export const natsServers: Scenario = {
  name: "servers of a NATS cluster of three are retired, killed and paused",
  withinMs: 300_000,
  async run(world) {
    const services = await startServices({ only: ["nats"], natsServers: 3, given: {}, log: world.say });
    try {
      const cluster = await world.cluster(
        { actors: 3, gateways: 2, pushers: 2 },
        { ...services.environment, MADANG_LOG_LEVEL: "info" },
      );
      await chatOn(world, cluster, services.nats);
      await cluster.stop(); // before its servers
    } finally {
      await services.stop();
    }
  },
};

async function chatOn(world: World, cluster: Cluster, servers: readonly Engine[]): Promise<void> {
  const seat = await takeSeat(cluster.settings);
  const chatter = await gather({ cluster, pairs: 8, everyMs: 250, groupEvery: 12 });
  const posting = startPosting(await gatherPosters(seat, POSTERS, POST_EVERY_MS));
  const told = listenToPushes(["push-1", "push-2"].map((name) => cluster.node(name)));
  const stage = { world, servers, chatter, posting };
  try {
    chatter.talk();
    await calm(chatter);
    await isAway(stage, servers[0] as Engine, "retired");
    for (const server of servers) await isAway(stage, server, "killed");
    await isAway(stage, servers[1] as Engine, "paused");
    await oneIsLeft(stage);
    await posting.stop();
    world.fact(posting.late() === 0, `each call ended within its deadline; beside acks: ${posting.outcomes()}`);
    const newest = posting.posters.map(({ channelId, acked }) => [channelId, acked.at(-1)?.messageId] as const);
    const toldMs = await until("people who are away are told of the newest", () => told.all(newest), TOLD_WITHIN_MS);
    world.fact(true, `people who are away are told of the newest message ${ms(toldMs)} after the last one`);
    await stateArrival(world, chatter, SETTLED_MS);
    await statePromises(world, chatter);
  } finally {
    told.end();
    await posting.stop();
    await chatter.close();
    await seat.close();
  }
}

type How = "retired" | "killed" | "paused";

const ways: Readonly<Record<How, (server: Engine) => Promise<void>>> = {
  /** It asks its clients to leave before it goes, as in an upgrade. */
  async retired(server) {
    process.kill(server.pid, "SIGUSR2");
    await pause(SERVER_AWAY_MS);
    await server.kill();
    await server.start();
  },
  async killed(server) {
    await server.kill();
    await pause(SERVER_AWAY_MS);
    await server.start();
  },
  /** Its connections stay open, and it says nothing. When it wakes up, it sends what it had. */
  async paused(server) {
    server.pause();
    await pause(SERVER_PAUSED_MS);
    server.resume();
  },
};

async function isAway({ world, chatter }: Stage, server: Engine, how: How): Promise<void> {
  const errorsBefore = chatter.errors.length;
  const fromMs = performance.now();
  await ways[how](server);
  const toMs = performance.now();
  await calm(chatter);
  await answered(chatter, fromMs, toMs);
  const { sent, acked, latencies } = progress(chatter, fromMs, toMs);
  const longestMs = percentile(latencies, 1);
  const boundMs = how === "paused" ? SILENCE_MS : REPAIRED_MS;
  world.fact(
    acked === sent && sent > 0 && chatter.errors.length === errorsBefore,
    `${server.name} is ${how} and comes back: ${acked} of ${sent} texts acknowledged, ` +
      `${chatter.errors.length - errorsBefore} errors seen by users`,
  );
  world.figure(longestMs <= boundMs, `of those the longest waited ${ms(longestMs)}`, `at most ${ms(boundMs)}`);
}

/** JetStream has no majority: push jobs are refused. Chat needs none. */
async function oneIsLeft({ world, chatter, servers }: Stage): Promise<void> {
  const errorsBefore = chatter.errors.length;
  const [first, second] = servers as [Engine, Engine];
  const fromMs = performance.now();
  await Promise.all([first.kill(), second.kill()]);
  await pause(SERVER_AWAY_MS);
  const toMs = performance.now();
  await answered(chatter, fromMs, toMs);
  const { sent, acked } = progress(chatter, fromMs, toMs);
  world.fact(
    acked === sent && sent > 0 && chatter.errors.length === errorsBefore,
    `two of three are killed: ${acked} of ${sent} texts acknowledged by the one that is left, ` +
      `${chatter.errors.length - errorsBefore} errors seen by users`,
  );
  await Promise.all([first.start(), second.start()]);
  await calm(chatter);
}

/** All that was said in this time. */
const answered = (chatter: Chatter, fromMs: number, toMs: number) =>
  until(
    "what was said meanwhile is acknowledged",
    () => {
      const { sent, acked } = progress(chatter, fromMs, toMs);
      return acked === sent;
    },
    ANSWERED_WITHIN_MS,
  );

const calm = (chatter: Chatter) => until("people are served", () => isCalm(chatter), CALM_WITHIN_MS);

interface Pushes {
  /** Somebody was told of this message, or of a later one, of each of these channels. */
  all(newest: readonly (readonly [channelId: string, messageId: number | undefined])[]): boolean;
  end(): void;
}

const LOOK_EVERY_MS = 200;

/** What the provider that writes to the log has told; of a node's log only the end is at hand, so it is looked at often. */
function listenToPushes(nodes: readonly ClusterNode[]): Pushes {
  const newest = new Map<string, number>();
  const look = () => {
    for (const line of nodes.flatMap((node) => node.said().split("\n"))) {
      if (!line.includes("something is unread")) continue;
      const { channelId = "", messageId = "" } =
        /"channelId":"(?<channelId>[^"]+)".*"messageId":(?<messageId>\d+)/.exec(line)?.groups ?? {};
      newest.set(channelId, Math.max(newest.get(channelId) ?? 0, Number(messageId)));
    }
  };
  const looking = setInterval(look, LOOK_EVERY_MS);
  return {
    all: (wanted) => wanted.every(([channelId, messageId = 1]) => (newest.get(channelId) ?? 0) >= messageId),
    end: () => clearInterval(looking),
  };
}
