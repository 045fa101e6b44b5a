import { randomUUID } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { expect, it } from "vitest";
import { PushJobKind } from "../proto/index.ts";
import { pause, silentLogger, systemClock, systemRandom } from "../runtime/index.ts";
import { connectNats, type Nats, natsDefaults } from "../runtime/nats/connection.ts";
import type { Notification } from "./provider/port.ts";
import { openJetStreamPushQueue } from "./queue/jetstream.ts";
import { streamNames } from "./queue/streams.ts";
import { pushDefaults } from "./settings.ts";
import { fakeUsers, ok, unread } from "./worker.test-rig.ts";
import { startPushWorker } from "./worker.ts";

const url = process.env.NATS_URL ?? "";
const settings = { ...pushDefaults, replicas: 1, queueBytesMax: 50_000_000, collapseMs: 500, pullMs: 1_000 };
const log = silentLogger;
const clock = systemClock;
const USERS = 200;
const MESSAGES = 5;

it("workers that share a queue on JetStream tell each unread channel, and nobody of what is read", async () => {
  const cluster = `test-${randomUUID()}`;
  const connections: Nats[] = [];
  const open = async () => {
    const nats = await connectNats({ settings: { ...natsDefaults, url }, name: "test", log });
    connections.push(nats);
    return openJetStreamPushQueue({ nats, cluster, clock, settings, log });
  };
  const sent: Notification[] = [];
  const hasRead = (userId: number) => userId % 4 === 0;
  const queues = await Promise.all([open(), open(), open()]);
  const workers = queues.slice(1).map((queue) =>
    startPushWorker({
      queue,
      users: fakeUsers(async (userId) => unread({ readId: hasRead(userId) ? MESSAGES : 0 })),
      provider: {
        async send(_registration, notification) {
          sent.push(notification);
          return ok;
        },
      },
      registrationsOf: async () => [{ deviceId: 1, provider: "test", token: "t" }],
      removeRegistration: async () => {},
      settings,
      clock,
      random: systemRandom,
      log,
    }),
  );
  const [producer] = queues;
  const jobs = Array.from({ length: USERS * MESSAGES }, (_, index) => ({
    userId: 1 + (index % USERS),
    channelId: "g1",
    messageId: 1 + Math.floor(index / USERS),
    kind: PushJobKind.NOTIFY,
    author: 999,
    timeMs: clock.wallMs(),
    deviceId: 0,
    notBeforeMs: 0,
  }));
  await Promise.all([...jobs, ...jobs.slice(0, 100)].map((job) => producer?.enqueue(job)));
  const ended = () => queues.reduce((sum, queue) => sum + queue.stats().done, 0);
  for (let waitedMs = 0; ended() < jobs.length && waitedMs < 30_000; waitedMs += 50) await pause(clock, 50);

  expect(ended()).toBe(jobs.length);
  // A job whose word from the stream came late was sent again: then it counts as a duplicate of itself.
  const { enqueued = 0, duplicates = 0, refused } = producer?.stats() ?? {};
  expect([enqueued + duplicates, refused]).toEqual([jobs.length + 100, 0]);
  expect(duplicates).toBeGreaterThanOrEqual(100);
  expect(sent.filter(({ userId }) => hasRead(userId))).toEqual([]);
  for (let userId = 1; userId <= USERS; userId++) {
    const told = sent.filter((one) => one.userId === userId).map(({ messageId }) => messageId);
    if (!hasRead(userId)) expect(told).toContain(MESSAGES);
    expect(new Set(told).size).toBe(told.length);
  }
  const counts = workers.map((worker) => worker.stats());
  expect(counts.reduce((sum, one) => sum + one.collapsed, 0)).toBeGreaterThan(0);
  await Promise.all(workers.map((worker) => worker.close()));
  await Promise.all(queues.map((queue) => queue.close()));
  const { streams } = await jetstreamManager((connections[0] as Nats).connection);
  const left = async () => (await streams.info(streamNames(cluster).jobs)).state.messages;
  for (let waitedMs = 0; (await left()) > 0 && waitedMs < 10_000; waitedMs += 50) await pause(clock, 50);
  expect(await left()).toBe(0); // the server works acknowledgements off behind its answers
  for (const name of [streamNames(cluster).jobs, streamNames(cluster).dead]) await streams.delete(name);
  await Promise.all(connections.map((nats) => nats.close()));
});
