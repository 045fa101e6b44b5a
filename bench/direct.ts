// 1:1 messages, kept: Madang, and a bare program that puts the same bytes into LMDB, acknowledges and delivers.

import { performance } from "node:perf_hooks";
import { build, type Histogram } from "hdr-histogram-js";
import { ClientFrame, directChannelId, ServerFrame } from "../proto/index.ts";
import { Bare, bareMessage, deliveryOf } from "./bare-client.ts";
import { goals, interleaved, median, pause, type Result, resultOf, say } from "./measure.ts";
import { openLoop } from "./pace.ts";
import { type Measured, startMeasured } from "./processes.ts";
import { entriesIn, openSockets, type RawSocket } from "./sockets.ts";
import { ageMs, stampedText } from "./texts.ts";
import { startWorld } from "./world.ts";

const PEOPLE = 400;
const WARM_UP_MS = 1_500;
const RUN_MS = 3_000;
const LATENCY_MS = 6_000;
const ANSWER_WITHIN_MS = 5_000;

/** First bytes of the fields of a ServerFrame. */
const REQUEST = 0x08;
const ERROR = 0x4a;

/** A thing under load: how to send one message from a person to the next, and what comes back. */
interface Side {
  readonly process: Measured<unknown>;
  readonly sockets: readonly RawSocket[];
  frame(sender: number, intendedMs: number): Uint8Array;
  close(): Promise<void>;
}

interface Run {
  readonly cpuUs: number;
  readonly rate: number;
  readonly loadCpuShare: number;
}

interface Latency {
  readonly ack: Histogram;
  readonly delivery: Histogram;
}

export async function direct(pairs: number): Promise<Result[]> {
  const madang = await openMadang();
  const bare = await openBare();
  const closed = (side: Side) => () =>
    side.process.profiled(side === madang ? "direct" : "direct-bare", () => closedLoop(side));
  for (const side of [madang, bare]) await closedLoop(side, WARM_UP_MS);
  const runs = await interleaved(pairs, closed(madang), closed(bare));
  const perMessage = (list: readonly Run[]) => list.map((run) => run.cpuUs);
  const rates = runs.a.map((run) => run.rate);
  say(`  load generator: ${Math.round(100 * median(runs.a.map((run) => run.loadCpuShare)))} % of its core`);
  const rate = Math.round(median(rates) * 0.3);
  const latencies = await interleaved(
    Math.max(2, Math.ceil(pairs / 3)),
    () => openLatency(madang, rate),
    () => openLatency(bare, rate),
  );
  await madang.close();
  await bare.close();
  const baseline = "bare uWebSockets.js and LMDB";
  const at = (which: keyof Latency, percentile: number) => ({
    values: latencies.a.map((run) => run[which].getValueAtPercentile(percentile) / 1_000),
    baseline: { name: baseline, values: latencies.b.map((run) => run[which].getValueAtPercentile(percentile) / 1_000) },
  });
  return [
    resultOf({
      name: "1:1 message, kept: server CPU",
      unit: "µs",
      values: perMessage(runs.a),
      baseline: { name: baseline, values: perMessage(runs.b) },
      goal: goals.ratioAtMost(2),
      notMeasured: "TLS; a network",
    }),
    resultOf({
      name: "1:1 messages, kept, on one core",
      unit: "/s",
      values: rates,
      baseline: { name: baseline, values: runs.b.map((run) => run.rate) },
      goal: goals.atLeast(12_000, "/s"),
    }),
    resultOf({ name: `send → ack at ${rate}/s, p50`, unit: "ms", ...at("ack", 50) }),
    resultOf({ name: `send → ack at ${rate}/s, p99`, unit: "ms", ...at("ack", 99) }),
    resultOf({ name: `send → the other's device at ${rate}/s, p50`, unit: "ms", ...at("delivery", 50) }),
    resultOf({ name: `send → the other's device at ${rate}/s, p99`, unit: "ms", ...at("delivery", 99) }),
  ];
}

async function closedLoop({ process: server, sockets, frame }: Side, forMs = RUN_MS): Promise<Run> {
  let acked = 0;
  let delivered = 0;
  let inFlight = 0;
  let stopping = false;
  let settle: () => void = () => {};
  for (const [at, socket] of sockets.entries()) {
    socket.onFrame = (bytes) => {
      const entries = entriesIn(bytes);
      if (entries > 0) {
        delivered += entries;
        return;
      }
      if (bytes[0] !== REQUEST) return; // a receipt
      if (bytes[2] === ERROR) throw new Error(JSON.stringify(ServerFrame.decode(new Uint8Array(bytes))));
      acked += 1;
      if (stopping) {
        inFlight -= 1;
        if (inFlight === 0) settle();
      } else socket.send(frame(at, performance.now()));
    };
  }
  for (const [at, socket] of sockets.entries()) {
    inFlight += 1;
    socket.send(frame(at, performance.now()));
  }
  await pause(200);
  const before = { cpuUs: server.cpuUs(), acked, atMs: performance.now(), own: process.cpuUsage() };
  await pause(forMs);
  const tookMs = performance.now() - before.atMs;
  const count = acked - before.acked;
  const cpuUs = server.cpuUs() - before.cpuUs;
  const own = process.cpuUsage(before.own);
  const over = new Promise<void>((resolve) => {
    settle = resolve;
  });
  stopping = true;
  await Promise.race([
    over,
    pause(ANSWER_WITHIN_MS).then(() => Promise.reject(new Error(`${inFlight} sends unanswered`))),
  ]);
  await pause(100);
  if (delivered < acked) throw new Error(`${acked} acknowledged, ${delivered} delivered`);
  return {
    cpuUs: cpuUs / count,
    rate: (count * 1_000) / tookMs,
    loadCpuShare: (own.user + own.system) / 1_000 / tookMs,
  };
}

async function openLatency({ sockets, frame }: Side, rate: number): Promise<Latency> {
  const histograms = { ack: build({ useWebAssembly: false }), delivery: build({ useWebAssembly: false }) };
  const intended: number[][] = sockets.map(() => []);
  let waiting = 0;
  for (const [at, socket] of sockets.entries()) {
    const peer = at ^ 1;
    socket.onFrame = (bytes) => {
      if (entriesIn(bytes) > 0) {
        if (deliveredTo(bytes) === peer) histograms.delivery.recordValue(Math.round(ageMs(bytes) * 1_000));
        return;
      }
      if (bytes[0] !== REQUEST) return;
      const sentMs = (intended[at] as number[]).shift() ?? 0;
      histograms.ack.recordValue(Math.round((performance.now() - sentMs) * 1_000));
      waiting -= 1;
    };
  }
  await openLoop(
    rate,
    LATENCY_MS,
    (n, intendedMs) => {
      const at = n % sockets.length;
      (intended[at] as number[]).push(intendedMs);
      waiting += 1;
      (sockets[at] as RawSocket).send(frame(at, intendedMs));
    },
    true,
  );
  for (let i = 0; waiting > 0 && i < 100; i++) await pause(20);
  if (waiting > 0) throw new Error(`${waiting} sends are unanswered`);
  return histograms;
}

/** Who wrote it, as a place in the list: the last digit pair of the filler says so. */
function deliveredTo(frame: Buffer): number {
  const at = frame.lastIndexOf(35); // '#'
  return Number(frame.toString("latin1", at + 1, at + 5));
}

function textOf(sender: number, intendedMs: number): string {
  const text = stampedText(intendedMs);
  return `${text.slice(0, text.length - 5)}#${String(sender).padStart(4, "0")}`;
}

async function openMadang(): Promise<Side> {
  const world = await startWorld(PEOPLE);
  const userIds = Array.from({ length: PEOPLE }, (_, at) => at + 1);
  const sockets = await world.connect(userIds);
  const numbers = userIds.map(() => 0);
  return {
    process: world.node,
    sockets,
    frame(sender, intendedMs) {
      const number = (numbers[sender] ?? 0) + 1;
      numbers[sender] = number;
      const channelId = directChannelId(sender + 1, (sender ^ 1) + 1);
      const content = { text: { text: textOf(sender, intendedMs), replyTo: 0 } };
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
    await new Promise<void>((resolve) => {
      socket.onFrame = () => resolve();
      socket.send(bareMessage(Bare.HERE, at, new Uint8Array(0)));
    });
  }
  return {
    process: server,
    sockets,
    frame: (sender, intendedMs) =>
      bareMessage(Bare.DIRECT, sender ^ 1, deliveryOf("d100.101", sender + 1, textOf(sender, intendedMs))),
    async close() {
      for (const socket of sockets) socket.close();
      await server.stop();
    },
  };
}
