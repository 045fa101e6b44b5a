// One, two and four nodes with actors, all on one core, each node with the same load: what is compared is the sum of their CPU a
// message, not the time that it takes. More nodes mean that more calls leave a process; the rest is to stay.

import { takeSeat } from "../../chaos/cluster/seat.ts";
import { type Cluster, startCluster } from "../../tools/cluster/cluster.ts";
import { goals, median, pause, type Result, resultOf, say } from "../measure.ts";
import { cpuUsOf, pin, SERVER_CPU } from "../processes.ts";
import { drawnOf, steadily } from "./metronome.ts";
import { attachPeople, type People } from "./people.ts";
import { type Rounds, rounds } from "./rounds.ts";
import type { World } from "./world.ts";

const COUNTS = [1, 2, 4] as const;
type Side = "1" | "2" | "4";
const PEOPLE = 400;
/** Messages a node, before anything is measured: the compiler has seen it all. */
const WARM_UP = 4_000;
const RUN_MS = 3_000;
/** Of what four nodes can take together on this machine, so that no side is late. */
const LOAD = 0.5;
/** Until what the messages have caused is done: pointers are written every two seconds. */
const POINTERS_MS = 2_500;
const IDLE_MS = 4_000;

interface Run {
  readonly cpuUs: number;
  readonly loadShare: number;
}

interface Running {
  readonly cluster: Cluster;
  readonly people: People;
  /** Of all its nodes together, in microseconds. */
  cpuUs(): number;
  /** Of a core, of all its nodes together, when nobody asks anything. */
  idleShare: number;
}

export async function nodes({ environment, name, pairs, warmUpShare }: World): Promise<Result[]> {
  const started = new Map<Side, Running>();
  try {
    let userIds: number[] | undefined;
    for (const count of COUNTS) {
      const cluster = await startNodes(environment, `${name}_${count}`, count);
      userIds ??= await peopleOf(cluster);
      const people = await attachPeople(cluster.settings, userIds);
      const cpuUs = () => [...cluster.nodes.values()].reduce((sum, { pid }) => sum + cpuUsOf(pid), 0);
      started.set(String(count) as Side, { cluster, people, cpuUs, idleShare: 0 });
    }
    let highest = 0;
    for (const count of COUNTS)
      highest = await warmUp((started.get(String(count) as Side) as Running).people, warmUpShare * WARM_UP * count);
    const rate = (highest * LOAD) / 4;
    say(`  ${Math.round(rate)} messages a second and node`);
    await lookIdle([...started.values()]);
    const run = (side: Side) => () => measured(started.get(side) as Running, rate * Number(side));
    const ran = await rounds<Side, Run>(Math.ceil(pairs / 2), { "1": run("1"), "2": run("2"), "4": run("4") });
    return rowsOf(ran, rate, started);
  } finally {
    for (const { cluster, people } of started.values()) {
      await people.close();
      await cluster.stop();
    }
  }
}

async function startNodes(environment: World["environment"], name: string, count: number): Promise<Cluster> {
  const cluster = await startCluster({
    environment,
    name,
    layout: { actors: count, gateways: 0, apis: 0, pushers: 0 },
    settings: {
      MADANG_CHAT_SESSION_LEASE_MS: "3600000", // nobody beats for the people
      MADANG_CHAT_PUSH_AFTER_MS: "3600000", // nor acknowledges what they get
    },
    log: (line) => say(`  ${line}`),
  });
  for (const { pid } of cluster.nodes.values()) pin(pid, SERVER_CPU);
  return cluster;
}

/** Accounts are those of the database, and so of all clusters on it. */
async function peopleOf(cluster: Cluster): Promise<number[]> {
  const seat = await takeSeat(cluster.settings);
  try {
    return await seat.people(PEOPLE);
  } finally {
    await seat.close();
  }
}

/** All people at a time, each with the next message when the last one is acknowledged. Gives how many that were in a second. */
async function warmUp(people: People, messages: number): Promise<number> {
  const startMs = performance.now();
  let left = messages;
  await Promise.all(
    Array.from({ length: people.count }, async (_, person) => {
      while (left > 0) {
        left -= 1;
        await people.post(person);
      }
    }),
  );
  return (messages * 1_000) / (performance.now() - startMs);
}

/** All at once: none of them does anything. */
async function lookIdle(all: readonly Running[]): Promise<void> {
  await pause(POINTERS_MS);
  const before = all.map((running) => running.cpuUs());
  await pause(IDLE_MS);
  for (const [at, running] of all.entries())
    running.idleShare = (running.cpuUs() - (before[at] as number)) / 1_000 / IDLE_MS;
}

async function measured({ people, cpuUs, idleShare }: Running, rate: number): Promise<Run> {
  const before = { cpuUs: cpuUs(), atMs: performance.now(), own: process.cpuUsage(), pushed: people.pushed };
  const posts: Promise<unknown>[] = [];
  const next = drawnOf(people.count);
  await steadily(rate, RUN_MS, () => void posts.push(people.post(next())));
  await Promise.all(posts);
  const tookMs = performance.now() - before.atMs;
  const own = process.cpuUsage(before.own);
  await pause(POINTERS_MS);
  const idleUs = idleShare * (performance.now() - before.atMs) * 1_000;
  const spentUs = cpuUs() - before.cpuUs - idleUs;
  if (people.pushed === before.pushed) throw new Error("nothing was pushed to anybody");
  return { cpuUs: spentUs / posts.length, loadShare: (own.user + own.system) / 1_000 / tookMs };
}

function rowsOf(ran: Rounds<Side, Run>, rate: number, started: ReadonlyMap<Side, Running>): Result[] {
  const cpu = (side: Side) => ran[side].map((run) => run.cpuUs);
  const row = (side: Side, base: Side) => ({
    name: `1:1 message, ${side} actor nodes: sum of their CPU`,
    unit: "µs",
    values: cpu(side),
    baseline: { name: `${base} actor node${base === "1" ? "" : "s"}`, values: cpu(base) },
    notMeasured: "CPU of idle nodes, which is a row of its own; of gateways; of the ring",
  });
  const load = COUNTS.map((count) => `${Math.round(100 * median(ran[`${count}`].map((run) => run.loadShare)))} %`);
  const again = [...started.values()].reduce((sum, { people }) => sum + people.again, 0);
  if (again > 0) say(`  ${again} messages were sent again`);
  say(`  load generator: ${load.join(", ")} of a core`);
  return [
    resultOf(row("2", "1")),
    resultOf({ ...row("4", "2"), goal: goals.ratioAtMost(1.1) }),
    resultOf({ name: "1:1 messages for each actor node", unit: "/s", values: [rate] }),
    resultOf({
      name: "idle actor node: CPU",
      unit: "% of a core",
      values: [...started].map(([side, { idleShare }]) => (100 * idleShare) / Number(side)),
    }),
  ];
}
