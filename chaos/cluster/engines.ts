// Engines that die and come back, under people who go on chatting.

import { setTimeout as pause } from "node:timers/promises";
import { storageDefaults } from "../../storage/index.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import {
  CALM_ACK_MS,
  type Chatter,
  gather,
  isCalm,
  percentile,
  progress,
  servedSince,
  stateArrival,
  statePromises,
  until,
} from "./chatter.ts";
import { ms } from "./nodes.ts";
import { gatherPosters, startPosting } from "./poster.ts";
import type { Scenario, World } from "./scenario.ts";
import { type Seat, takeSeat } from "./seat.ts";

const CONSUL_AWAY_MS = 120_000;
/** Longer than a session of Consul lives that nobody renews, at its end: twice its time to live. */
const CONSUL_PAUSED_MS = 25_000;
const POSTGRES_AWAY_MS = 6_000;
const LOG_IN_WITHIN_MS = 10_000;
const NATS_AWAY_MS = 30_000;
const SETTLED_MS = 90_000;
const POSTERS = 8;
/** Far longer than a request waits for a member. */
const MEMBER_PAUSED_MS = 8_000;
const { requestWithinMs: REQUEST_WITHIN_MS } = storageDefaults;
const CALM_WITHIN_MS = 60_000;

interface Stage {
  readonly world: World;
  readonly cluster: Cluster;
  readonly seat: Seat;
  readonly chatter: Chatter;
}

export const engines: Scenario = {
  name: "engines die and come back under people who chat",
  withinMs: 600_000,
  async run(world) {
    const cluster = await world.cluster({ actors: 3, gateways: 2 });
    const seat = await takeSeat(cluster.settings);
    const chatter = await gather({ cluster, pairs: 8, everyMs: 250, groupEvery: 12 });
    const stage = { world, cluster, seat, chatter };
    try {
      chatter.talk();
      await pause(2_000);
      await eachMemberPaused(stage);
      await oneMemberDown(stage);
      await twoMembersDown(stage);
      await postgresAway(stage);
      await consulAway(stage);
      await natsAway(stage);
      await stateArrival(world, chatter, SETTLED_MS);
      await statePromises(world, chatter);
    } finally {
      await chatter.close();
      await seat.close();
    }
  },
};

/** Its connections stay open, and it says nothing. Each in turn, for each is the one that some nodes prefer. */
async function eachMemberPaused({ world, chatter }: Stage): Promise<void> {
  const errorsBefore = chatter.errors.length;
  const longest: number[] = [];
  let sent = 0;
  let acked = 0;
  for (const member of world.services.cassandra) {
    const fromMs = performance.now();
    member.pause();
    await pause(MEMBER_PAUSED_MS);
    const toMs = performance.now();
    member.resume();
    await until("people are served as before", () => isCalm(chatter), CALM_WITHIN_MS);
    await pause(CALM_ACK_MS); // for what was said in the last moment of it
    const meanwhile = progress(chatter, fromMs, toMs);
    sent += meanwhile.sent;
    acked += meanwhile.acked;
    longest.push(percentile(meanwhile.latencies, 1));
  }
  world.fact(
    acked === sent && sent > 0 && chatter.errors.length === errorsBefore,
    `each member of the ring paused for ${ms(MEMBER_PAUSED_MS)}, one after another: ${acked} of ${sent} texts acknowledged, ` +
      `${chatter.errors.length - errorsBefore} errors seen by users`,
  );
  world.figure(
    Math.max(...longest) < REQUEST_WITHIN_MS,
    `of those the longest waited ${longest.map(ms).join(", ")}`,
    `below ${ms(REQUEST_WITHIN_MS)}, after which a request to a member is given up`,
  );
}

async function oneMemberDown({ world, chatter }: Stage): Promise<void> {
  const errorsBefore = chatter.errors.length;
  const [, , third] = world.services.cassandra;
  const fromMs = performance.now();
  await third?.kill();
  await pause(8_000);
  const { sent, acked, latencies } = progress(chatter, fromMs, performance.now() - 3_500);
  world.fact(
    acked === sent && sent > 0 && chatter.errors.length === errorsBefore,
    `one of three members of the ring killed: ${acked} of ${sent} texts acknowledged, longest ${ms(percentile(latencies, 1))}, ` +
      `${chatter.errors.length - errorsBefore} errors seen by users`,
  );
}

/** The third is still down. */
async function twoMembersDown({ world, chatter, seat }: Stage): Promise<void> {
  const [, second, third] = world.services.cassandra;
  const posting = startPosting(await gatherPosters(seat, POSTERS, 50));
  const { posters } = posting;
  await until("the posters are served", () => posters.every(({ acked }) => acked.length > 2), 20_000);
  await second?.kill();
  await pause(3_000); // what was under way ends
  const textsAcked = () => chatter.texts.filter(({ ackedMs }) => ackedMs < Infinity).length;
  const postsBefore = posting.acked();
  const textsBefore = textsAcked();
  posting.forgetOutcomes();
  await pause(8_000);
  const posts = posting.acked() - postsBefore;
  const texts = textsAcked() - textsBefore;
  world.fact(posts + texts === 0, `two of three members down: ${posts} posts and ${texts} texts acknowledged`);
  world.fact(posting.late() === 0, `each call ended within its deadline: ${posting.outcomes()}`);
  const startedMs = performance.now();
  await Promise.all([second?.start(), third?.start()]);
  const readyMs = performance.now();
  const resumed = posting.acked();
  await until("acks come again", () => posting.acked() > resumed + POSTERS, 60_000);
  world.fact(
    true,
    `all resumes without a restart: acks ${ms(performance.now() - readyMs)} after the members answer again ` +
      `(which took them ${ms(readyMs - startedMs)})`,
  );
  await posting.stop();
  world.fact(
    posters.every(({ open }) => open.size === 0),
    "what was open meanwhile is acknowledged in the end",
  );
  // Members that have just started are slow for a while, which is not what comes next is asked about.
  await until("people are served as before", () => isCalm(chatter), CALM_WITHIN_MS);
  world.say(`people are served as before ${ms(performance.now() - readyMs)} after the members answer again`);
}

/** Silent, with its connections open, and then dead. */
async function postgresAway(stage: Stage): Promise<void> {
  const { postgres } = stage.world.services;
  await withoutPostgres(stage, "paused", { begin: () => postgres.pause(), end: () => postgres.resume() });
  await withoutPostgres(stage, "killed", { begin: () => postgres.kill(), end: () => postgres.start() });
}

interface Fault {
  begin(): void | Promise<void>;
  end(): void | Promise<void>;
}

async function withoutPostgres({ world, chatter, cluster }: Stage, how: string, fault: Fault): Promise<void> {
  const logIn = () =>
    fetch(`${cluster.apiUrl}/v1/sessions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        name: chatter.devices[0]?.person,
        password: "the gate stands open",
        device: { name: "x" },
      }),
    });
  const errorsBefore = chatter.errors.length;
  await fault.begin();
  const fromMs = performance.now();
  await pause(POSTGRES_AWAY_MS);
  const askedMs = performance.now();
  const response = await logIn();
  const tookMs = performance.now() - askedMs;
  const body = (await response.json()) as { error?: { code: string } };
  const { sent, acked, latencies } = progress(chatter, fromMs, performance.now() - 2_000);
  world.fact(
    acked === sent && sent > 0 && chatter.errors.length === errorsBefore,
    `PostgreSQL ${how}: those who are connected chat on, ${acked} of ${sent} texts acknowledged, longest ${ms(percentile(latencies, 1))}`,
  );
  world.fact(
    [503, 504].includes(response.status) && tookMs < LOG_IN_WITHIN_MS,
    `a log-in meanwhile is answered ${response.status} ${body.error?.code} after ${ms(tookMs)}`,
  );
  await fault.end();
  const backMs = await until("log-in works again", async () => (await logIn()).ok, 30_000);
  world.fact(true, `log-in works again ${ms(backMs)} after PostgreSQL answers`);
}

/** Silent for longer than a session lives, and then dead: a Consul that wakes up ends all sessions at once. */
async function consulAway(stage: Stage): Promise<void> {
  const { consul } = stage.world.services;
  const paused = { begin: () => consul.pause(), end: () => consul.resume() };
  await withoutConsul(stage, `paused for ${CONSUL_PAUSED_MS / 1_000} s`, CONSUL_PAUSED_MS, paused);
  const killed = { begin: () => consul.kill(), end: () => consul.start() };
  await withoutConsul(stage, `gone for ${CONSUL_AWAY_MS / 1_000} s`, CONSUL_AWAY_MS, killed);
}

async function withoutConsul(
  { world, chatter, seat }: Stage,
  how: string,
  awayMs: number,
  fault: Fault,
): Promise<void> {
  const errorsBefore = chatter.errors.length;
  const before = await seat.state();
  await fault.begin();
  const fromMs = performance.now();
  await pause(awayMs);
  const { sent, acked, latencies } = progress(chatter, fromMs, performance.now() - 2_000);
  world.fact(
    acked === sent && sent > 0 && chatter.errors.length === errorsBefore,
    `Consul ${how}: traffic goes on, ${acked} of ${sent} texts acknowledged, ` +
      `p99 ${ms(percentile(latencies, 0.99))}, ${chatter.errors.length - errorsBefore} errors seen by users`,
  );
  await fault.end();
  const backMs = performance.now();
  const channelId = chatter.channels[0] as string;
  const shard = seat.shardOf(channelId);
  const after = await seat.state();
  const moved = after.table?.owners.filter((owner, at) => owner.nodeId !== before.table?.owners[at]?.nodeId).length;
  world.fact(moved === 0, `nothing moved meanwhile (${moved} shards)`);
  const to = ["actors-1", "actors-2", "actors-3"].find((name) => name !== seat.ownerOf(shard)) as string;
  const isMoved = () =>
    seat.move(shard, to, false).then(
      () => true,
      () => false,
    );
  await until("a move is carried out", isMoved, 60_000);
  world.fact(true, `Consul is back: a move is carried out within ${ms(performance.now() - backMs)}`);
  const listed = async () =>
    (await seat.state()).members.filter(({ roles, status }) => roles.includes("actors") && status === "up").length;
  const listedMs = await until("all three actor nodes are listed", async () => (await listed()) === 3, 60_000);
  world.fact(true, `all three actor nodes are listed ${ms(listedMs)} after that`);
}

async function natsAway({ world, chatter, seat }: Stage): Promise<void> {
  const posting = startPosting(await gatherPosters(seat, POSTERS, 50));
  await until("the posters are served", () => posting.posters.every(({ acked }) => acked.length > 2), 20_000);
  const [nats] = world.services.nats;
  await nats?.kill();
  await pause(NATS_AWAY_MS);
  world.fact(posting.late() === 0, `without NATS each call ends within its deadline: ${posting.outcomes()}`);
  await nats?.start();
  const longest = await servedSince(chatter, performance.now(), 60_000);
  world.fact(
    true,
    `NATS gone for ${NATS_AWAY_MS / 1_000} s and back: every channel is served again within ${ms(longest)}`,
  );
  await posting.stop();
  await pause(3_000);
}
