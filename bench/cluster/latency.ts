// From the send of a device to its ack, through a gateway and an owner on the ring; beside it the sum of what cannot be left out:
// one hop over NATS, one write, one read, by a program that does nothing else; and the same again behind a relay, which does nothing
// else either, for whoever wants to know what the way through a gateway takes by itself. All at the same rate, in an open loop.

import { connect } from "@nats-io/transport-node";
import { build, type Histogram } from "hdr-histogram-js";
import { takeSeat } from "../../chaos/cluster/seat.ts";
import { createTokens, httpDefaults, sharedSigningKey } from "../../gateway/index.ts";
import { ClientFrame, directChannelId, ServerFrame } from "../../proto/index.ts";
import { createGate, systemClock } from "../../runtime/index.ts";
import { type Cluster, startCluster } from "../../tools/cluster/cluster.ts";
import { goals, pause, type Result, resultOf, say } from "../measure.ts";
import { startMeasured } from "../processes.ts";
import { openSockets, type RawSocket } from "../sockets.ts";
import { stampedText } from "../texts.ts";
import { drawnOf, steadily } from "./metronome.ts";
import { withKeyspace } from "./ring.ts";
import { type Rounds, rounds } from "./rounds.ts";
import type { World } from "./world.ts";

const PEOPLE = 200;
/** At a time: each asks the database several times. */
const CONNECTING = 8;
/** Of each side: a ring of Java machines that have just begun becomes several times as fast meanwhile. */
const WARM_UP_MS = 90_000;
/** The ring is warm by then. */
const RELAY_WARM_UP_MS = 15_000;
const HIGHEST_MS = 5_000;
/** Whoever comes after the other side finds cold caches, and is not measured before. */
const LEAD_IN_MS = 1_000;
/** Short, and many of them (see ROUNDS_TIMES): what the ring does for itself lasts seconds, and falls on one side. */
const LATENCY_MS = 2_000;
/** Of the highest rate that Madang reaches, though the baseline may reach less. */
const LOAD = 0.3;
/** For each that other scenarios have: of single rounds p99 has been a fifth, and twenty times, what the baseline had in the same round. */
const ROUNDS_TIMES = 8;
const ANSWER_WITHIN_MS = 20_000;

/** First byte of a ServerFrame that answers, and of its field that refuses. */
const ANSWERS = 0x08;
const REFUSES = 0x4a;

/** Sends one message of this person; `answered` is called when it is acknowledged. */
interface Side {
  send(person: number, answered: () => void): void;
}

interface Run {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the sends themselves: how late the one in the middle and the hundredth latest left. */
  readonly lateMs: readonly [number, number];
}

export async function latency({ environment, name, pairs, warmUpShare }: World): Promise<Result[]> {
  const cluster = await startCluster({
    environment,
    name: `${name}_c`,
    layout: { actors: 1, gateways: 1, apis: 0, pushers: 0 },
    settings: {
      MADANG_GATEWAY_FRAMES_A_SECOND: "100000",
      MADANG_GATEWAY_FRAMES_BURST: "100000",
      MADANG_GATEWAY_CONNECTIONS_AN_ADDRESS_MAX: "100000",
      MADANG_GATEWAY_HELLO_WITHIN_MS: "60000", // all are connected before the first of them says hello
      MADANG_GATEWAY_FRAME_WITHIN_MS: "600000", // nobody beats while the other side is measured
      MADANG_CHAT_SILENT_AFTER_MS: "500000",
      MADANG_CHAT_OFFLINE_AFTER_MS: "600000",
      MADANG_CHAT_PUSH_AFTER_MS: "3600000", // nor acknowledges what arrives
    },
    log: (line) => say(`  ${line}`),
  });
  const people = await connectPeople(cluster);
  const madang = throughSockets(people);
  try {
    return await withKeyspace(environment.CQL_CONTACT_POINTS ?? "", name, async () => {
      const hop = await startMeasured<object>("cluster/hop-node", [name], environment);
      const nats = await connect({ servers: URL.parse(environment.NATS_URL ?? "")?.host ?? "" });
      const relay = await startMeasured<{ port: number }>("cluster/relay-node", [name], environment);
      const bare = throughNats(nats, name);
      const sockets = await openSockets(relay.ready.port, PEOPLE);
      const relayed = throughRelay(sockets);
      try {
        // Before a 1:1 begins, the database is asked whether both people exist: not all at once.
        for (let person = 0; person < PEOPLE; person++)
          await new Promise<void>((resolve) => madang.send(person, resolve));
        for (const side of [madang, bare]) await highestRate(side, warmUpShare * WARM_UP_MS);
        await highestRate(relayed, warmUpShare * RELAY_WARM_UP_MS);
        const ours = await highestRate(madang, HIGHEST_MS);
        const theirs = await highestRate(bare, HIGHEST_MS);
        const rate = Math.round(LOAD * ours);
        say(`  ${ours.toFixed()} messages a second at most, the baseline ${theirs.toFixed()}; measured at ${rate}`);
        const run = (side: Side) => () => measured(side, rate);
        const sides = { madang: run(madang), bare: run(bare), relayed: run(relayed) };
        return rowsOf(await rounds(ROUNDS_TIMES * pairs, sides), rate);
      } finally {
        for (const socket of sockets) socket.close();
        await nats.close();
        await relay.stop();
        await hop.stop();
      }
    });
  } finally {
    for (const { socket } of people) socket.close();
    await cluster.stop();
  }
}

function rowsOf({ madang, bare, relayed }: Rounds<"madang" | "bare" | "relayed", Run>, rate: number): Result[] {
  const late = (at: 0 | 1) => Math.max(...[...madang, ...bare, ...relayed].map((run) => run.lateMs[at])).toFixed(2);
  say(`  sends left late by up to ${late(0)} ms in the middle, ${late(1)} ms at the 99th percentile`);
  const row = (which: "p50Ms" | "p99Ms", most: number) =>
    resultOf({
      name: `send → ack at 30 % load, ${which.slice(0, 3)}`,
      unit: "ms",
      values: madang.map((run) => run[which]),
      baseline: { name: "NATS hop + write + read", values: bare.map((run) => run[which]) },
      goal: goals.ratioAtMost(most),
      notMeasured: "engines on other machines; the baseline has no WebSocket, no gateway and no fan-out",
    });
  const besideRelay = (which: "p50Ms" | "p99Ms") =>
    resultOf({
      name: `send → ack at 30 % load, ${which.slice(0, 3)}, beside a relay`,
      unit: "ms",
      values: madang.map((run) => run[which]),
      baseline: { name: "WebSocket relay + NATS hop + write + read", values: relayed.map((run) => run[which]) },
      notMeasured: "engines on other machines; the baseline has no sessions and no fan-out",
    });
  return [
    row("p50Ms", 1.3),
    row("p99Ms", 1.6),
    besideRelay("p50Ms"),
    besideRelay("p99Ms"),
    resultOf({ name: "send → ack: rate at 30 % load", unit: "/s", values: [rate] }),
  ];
}

async function measured({ send }: Side, rate: number): Promise<Run> {
  const next = drawnOf(PEOPLE);
  const histogram: Histogram = build({ useWebAssembly: false });
  let waiting = 0;
  const late = await steadily(rate, LEAD_IN_MS + LATENCY_MS, (n, intendedMs) => {
    waiting += 1;
    send(next(), () => {
      waiting -= 1;
      if (n * 1_000 < rate * LEAD_IN_MS) return;
      histogram.recordValue(Math.max(0, Math.round((performance.now() - intendedMs) * 1_000)));
    });
  });
  const untilMs = performance.now() + ANSWER_WITHIN_MS;
  while (waiting > 0 && performance.now() < untilMs) await pause(10);
  if (waiting > 0) throw new Error(`${waiting} sends are unanswered`);
  const share = (of: number) => late[Math.floor(late.length * of)] ?? 0;
  return {
    p50Ms: histogram.getValueAtPercentile(50) / 1_000,
    p99Ms: histogram.getValueAtPercentile(99) / 1_000,
    lateMs: [share(0.5), share(0.99)],
  };
}

/** With one message of each person on its way. */
async function highestRate({ send }: Side, forMs: number): Promise<number> {
  const startMs = performance.now();
  let answered = 0;
  let person = 0;
  await Promise.all(
    Array.from({ length: PEOPLE }, async () => {
      const mine = person++;
      while (performance.now() - startMs < forMs) {
        await new Promise<void>((resolve) => send(mine, resolve));
        answered += 1;
      }
    }),
  );
  return (answered * 1_000) / (performance.now() - startMs);
}

// ---- Madang

interface Person {
  readonly userId: number;
  readonly channelId: string;
  readonly socket: RawSocket;
  number: number;
}

async function connectPeople(cluster: Cluster): Promise<Person[]> {
  const seat = await takeSeat(cluster.settings);
  try {
    const userIds = await seat.people(PEOPLE);
    const tokens = createTokens(await sharedSigningKey(seat.accounts), systemClock, httpDefaults);
    const sockets = await openSockets(Number(URL.parse(cluster.node("gateway-1").wsUrl)?.port), PEOPLE);
    const atOnce = createGate(CONNECTING);
    const connectOne = async (userId: number, at: number) => {
      const logIn = { loginId: `bench${userId}`, userId, deviceId: undefined, deviceName: "bench" };
      const identity = await seat.accounts.openLogIn({ ...logIn, refreshHash: `bench${userId}`, expiresMs: 9e15 });
      const socket = sockets[at] as RawSocket;
      await hello(socket, await tokens.issueTicket(identity));
      return { userId, channelId: directChannelId(userId, userIds[at ^ 1] as number), socket, number: 0 };
    };
    return await Promise.all(userIds.map((userId, at) => atOnce(() => connectOne(userId, at))));
  } finally {
    await seat.close();
  }
}

function hello(socket: RawSocket, ticket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.onFrame = (bytes) => {
      const frame = ServerFrame.decode(new Uint8Array(bytes));
      if (frame.error) reject(new Error(frame.error.message));
      else if (frame.caughtUp) resolve();
    };
    socket.send(ClientFrame.encode({ request: 1, hello: { ticket, cursor: 0, client: "bench" } }).finish());
  });
}

function throughSockets(people: readonly Person[]): Side {
  // Answers come in the order of the sends: all of a person go to one channel.
  const waiting = people.map((): (() => void)[] => []);
  for (const [at, { socket }] of people.entries()) {
    socket.onFrame = (bytes) => {
      if (bytes[0] !== ANSWERS) return; // a delivery, a receipt
      if (bytes[2] === REFUSES) throw new Error(JSON.stringify(ServerFrame.decode(new Uint8Array(bytes))));
      waiting[at]?.shift()?.();
    };
  }
  return {
    send(at, answered) {
      const person = people[at] as Person;
      person.number += 1;
      waiting[at]?.push(answered);
      const content = { text: { text: stampedText(0), replyTo: 0 } };
      const send = { channelId: person.channelId, producer: at + 1, number: person.number, content };
      person.socket.send(ClientFrame.encode({ request: 1, send }).finish());
    },
  };
}

// ---- bare

const aSend = ClientFrame.encode({
  request: 1,
  send: {
    channelId: "d100.101",
    producer: 1,
    number: 1,
    content: { text: { text: stampedText(0), replyTo: 0 } },
  },
}).finish();

function throughNats(nats: Awaited<ReturnType<typeof connect>>, subject: string): Side {
  return {
    send: (_person, answered) => void nats.request(subject, aSend, { timeout: ANSWER_WITHIN_MS }).then(answered),
  };
}

function throughRelay(sockets: readonly RawSocket[]): Side {
  // Which answer is whose does not matter: all are alike.
  const waiting = sockets.map((): (() => void)[] => []);
  for (const [at, socket] of sockets.entries()) socket.onFrame = () => waiting[at]?.shift()?.();
  return {
    send(at, answered) {
      waiting[at]?.push(answered);
      sockets[at]?.send(aSend);
    },
  };
}
