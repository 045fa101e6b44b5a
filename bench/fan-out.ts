// Groups of 100, every message kept: Madang, and bare uWebSockets.js that publishes the same bytes to the same sockets.

import { performance } from "node:perf_hooks";
import { build, type Histogram } from "hdr-histogram-js";
import { ClientFrame } from "../proto/index.ts";
import { Bare, bareMessage, deliveryOf } from "./bare-client.ts";
import { goals, interleaved, median, pause, type Result, resultOf, say } from "./measure.ts";
import { openLoop } from "./pace.ts";
import { type Measured, startMeasured } from "./processes.ts";
import { entriesIn, openSockets, type RawSocket } from "./sockets.ts";
import { ageMs, stampedText } from "./texts.ts";
import { startWorld } from "./world.ts";

const GROUPS = 10;
const GROUP_PEOPLE = 100;
const PEOPLE = GROUPS * GROUP_PEOPLE;
const RUN_MS = 4_000;
const WARM_UP_MS = 5_000;
const WARM_UP_RATE = 50_000;
/** One delivery in so many has its age looked at. */
const SAMPLE = 97;
const LATE_MS = 200;
/** By then all pointers are durable, and confirmed to their channels. */
const POINTERS_MS = 2_500;
const HIGHEST_STEPS = [200_000, 300_000, 400_000, 505_000, 600_000, 700_000, 800_000, 1_000_000];
/** The rate is counted from here: before, deliveries are still on their way. */
const RATE_FROM_MS = 500;
/** Below this share of what was due, a rate was not held. */
const HELD = 0.98;

interface Side {
  readonly process: Measured<unknown>;
  readonly sockets: readonly RawSocket[];
  frame(sender: number, intendedMs: number): Uint8Array;
  close(): Promise<void>;
}

interface Run {
  readonly cpuUs: number;
  readonly rate: number;
  readonly p99Ms: number;
  readonly loadCpuShare: number;
}

export async function fanOut(pairs: number): Promise<Result[]> {
  const madang = await openMadang();
  const bare = await openBare();
  const baseline = "bare uWebSockets.js";
  const results: Result[] = [];
  for (const rate of [5_000, 50_000]) {
    for (const side of [madang, bare]) await paced(side, WARM_UP_RATE, WARM_UP_MS); // the compiler has seen it all
    const runs = await interleaved(
      pairs,
      () => madang.process.profiled(`fan-out-${rate}`, () => paced(madang, rate, RUN_MS)),
      () => paced(bare, rate, RUN_MS),
    );
    const name = `delivery in groups of 100 at ${rate.toLocaleString("en")}/s`;
    results.push(
      resultOf({
        name: `${name}: server CPU`,
        unit: "µs",
        values: runs.a.map((run) => run.cpuUs),
        baseline: { name: baseline, values: runs.b.map((run) => run.cpuUs) },
        goal: goals.ratioAtMost(1.25),
        notMeasured: "acknowledgements of the devices",
      }),
      resultOf({
        name: `${name}: p99`,
        unit: "ms",
        values: runs.a.map((run) => run.p99Ms),
        baseline: { name: baseline, values: runs.b.map((run) => run.p99Ms) },
      }),
    );
  }
  const held: Run[] = [];
  for (const rate of HIGHEST_STEPS) {
    const run = await madang.process.profiled(`fan-out-${rate}`, () => paced(madang, rate, RUN_MS));
    say(
      `  at ${rate}: ${Math.round(run.rate)}/s, p99 ${run.p99Ms.toFixed(0)} ms, ${run.cpuUs.toFixed(2)} µs, ` +
        `load generator ${Math.round(run.loadCpuShare * 100)} %`,
    );
    if (run.rate < rate * HELD || run.p99Ms >= LATE_MS) break;
    held.push(run);
  }
  await madang.close();
  await bare.close();
  results.push(
    resultOf({
      name: "deliveries in groups of 100, kept, on one core, p99 below 200 ms",
      unit: "/s",
      values: [Math.max(0, ...held.map((run) => run.rate))],
      goal: goals.atLeast(500_000, "/s"),
      notMeasured: `more than ${median(HIGHEST_STEPS.slice(-1)).toLocaleString("en")}/s`,
    }),
  );
  return results;
}

/** Deliveries at `rate` a second; a message goes to all of a group. */
async function paced({ process: server, sockets, frame }: Side, rate: number, forMs: number): Promise<Run> {
  const histogram: Histogram = build({ useWebAssembly: false });
  let delivered = 0;
  let untilSample = SAMPLE;
  const take = (bytes: Buffer) => {
    const entries = entriesIn(bytes);
    if (entries === 0) return;
    delivered += entries;
    untilSample -= entries;
    if (untilSample > 0) return;
    untilSample = SAMPLE;
    histogram.recordValue(Math.max(0, Math.round(ageMs(bytes) * 1_000)));
  };
  for (const socket of sockets) socket.onFrame = take;
  const before = { cpuUs: server.cpuUs(), atMs: performance.now(), own: process.cpuUsage() };
  const steady = { fromMs: 0, delivered: 0 };
  setTimeout(() => Object.assign(steady, { fromMs: performance.now(), delivered }), RATE_FROM_MS);
  // Senders take turns over the groups.
  const sent = await openLoop(rate / GROUP_PEOPLE, forMs, (n, intendedMs) => {
    const sender = (n % GROUPS) * GROUP_PEOPLE + (Math.floor(n / GROUPS) % GROUP_PEOPLE);
    (sockets[sender] as RawSocket).send(frame(sender, intendedMs));
  });
  const tookMs = performance.now() - before.atMs;
  const heldRate = ((delivered - steady.delivered) * 1_000) / (performance.now() - steady.fromMs);
  const own = process.cpuUsage(before.own);
  const due = sent * GROUP_PEOPLE;
  for (let waits = 0; delivered < due && waits < 500; waits++) await pause(20);
  await pause(POINTERS_MS);
  const cpuUs = server.cpuUs() - before.cpuUs; // with all that the messages caused
  if (delivered !== due) throw new Error(`${due} deliveries were due, ${delivered} came`);
  return {
    cpuUs: cpuUs / delivered,
    rate: heldRate,
    p99Ms: histogram.getValueAtPercentile(99) / 1_000,
    loadCpuShare: (own.user + own.system) / 1_000 / tookMs,
  };
}

async function openMadang(): Promise<Side> {
  const world = await startWorld(PEOPLE);
  const userIds = Array.from({ length: PEOPLE }, (_, at) => at + 1);
  const channels: string[] = [];
  for (let group = 0; group < GROUPS; group++) {
    const members = userIds.slice(group * GROUP_PEOPLE, (group + 1) * GROUP_PEOPLE);
    channels.push(await world.createGroup(members[0] as number, members.slice(1)));
  }
  const sockets = await world.connect(userIds);
  const numbers = userIds.map(() => 0);
  return {
    process: world.node,
    sockets,
    frame(sender, intendedMs) {
      const number = (numbers[sender] ?? 0) + 1;
      numbers[sender] = number;
      const channelId = channels[Math.floor(sender / GROUP_PEOPLE)] ?? "";
      const content = { text: { text: stampedText(intendedMs), replyTo: 0 } };
      return ClientFrame.encode({
        request: 1,
        send: { channelId, producer: 1_000 + sender, number, content },
      }).finish();
    },
    async close() {
      for (const socket of sockets) socket.close();
      await world.close();
    },
  };
}

async function openBare(): Promise<Side> {
  const server = await startMeasured<{ port: number }>("bare");
  const sockets = await openSockets(server.ready.port, PEOPLE);
  for (const [at, socket] of sockets.entries()) {
    const group = Buffer.alloc(4);
    group.writeUInt32LE(Math.floor(at / GROUP_PEOPLE));
    await new Promise<void>((resolve) => {
      socket.onFrame = () => resolve();
      socket.send(bareMessage(Bare.HERE, at, group));
    });
  }
  return {
    process: server,
    sockets,
    frame: (sender, intendedMs) =>
      bareMessage(
        Bare.GROUP,
        Math.floor(sender / GROUP_PEOPLE),
        deliveryOf("g115699584139264", sender + 1, stampedText(intendedMs)),
      ),
    async close() {
      for (const socket of sockets) socket.close();
      await server.stop();
    },
  };
}
