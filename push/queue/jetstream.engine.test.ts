import { randomUUID } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pause, silentLogger, systemClock } from "../../runtime/index.ts";
import { connectNats, type Nats, natsDefaults } from "../../runtime/nats/connection.ts";
import { type Engine, startServices } from "../../tools/services/index.ts";
import type { PushSettings } from "../settings.ts";
import { aJob, collector, pushQueueContract, testSettings } from "./contract.ts";
import { openJetStreamPushQueue } from "./jetstream.ts";
import { streamNames } from "./streams.ts";

const url = process.env.NATS_URL ?? "";
const clock = systemClock;

async function place() {
  const cluster = `test-${randomUUID()}`;
  const opened: Nats[] = [];
  const connect = async () => {
    const nats = await connectNats({ settings: { ...natsDefaults, url }, name: "test", log: silentLogger });
    opened.push(nats);
    return nats;
  };
  return {
    cluster,
    connect,
    async open(settings: Partial<PushSettings> = {}) {
      const limits = { ...testSettings, ...settings };
      return openJetStreamPushQueue({
        nats: await connect(),
        cluster,
        clock,
        settings: limits,
        log: silentLogger,
      });
    },
    async manager() {
      return jetstreamManager((await connect()).connection);
    },
    async close() {
      const { streams } = await this.manager();
      const { jobs, dead } = streamNames(cluster);
      for (const name of [jobs, dead]) await streams.delete(name).catch(() => undefined); // a test may not have made it
      await Promise.all(opened.map((nats) => nats.close()));
    },
  };
}

pushQueueContract("JetStream", place);

describe("the push queue on JetStream", () => {
  let at: Awaited<ReturnType<typeof place>>;
  beforeEach(async () => {
    at = await place();
  });
  afterEach(() => at.close());

  it("is set up once by nodes that start at the same moment, and brought to new settings by one that starts later", async () => {
    await Promise.all([1, 2, 3, 4].map(() => at.open()));
    const { streams, consumers } = await at.manager();
    const { jobs, dead, workers } = streamNames(at.cluster);
    const before = await streams.info(jobs);
    expect(before.config).toMatchObject({ retention: "workqueue", discard: "new", max_bytes: 20_000 });
    expect((await streams.info(dead)).config.retention).toBe("limits");
    await at.open({ queueBytesMax: 30_000, attemptsMax: 20 });
    expect((await streams.info(jobs)).config.max_bytes).toBe(30_000);
    expect((await consumers.info(jobs, workers)).config.max_deliver).toBe(24);
  });

  it("gives each job to one of the workers that share it", async () => {
    const queues = await Promise.all([1, 2, 3].map(() => at.open()));
    const workers = queues.map((queue) => collector(queue, (delivery) => clock.after(20, () => delivery.done())));
    const sent = Array.from({ length: 60 }, (_, index) => index + 1);
    await Promise.all(sent.map((messageId) => queues[messageId % 3]?.enqueue(aJob(messageId))));
    const all = () => workers.flatMap((worker) => worker.ids());
    for (let waitedMs = 0; all().length < 60 && waitedMs < 10_000; waitedMs += 50) await pause(clock, 50);
    await pause(clock, 1_500); // longer than ackWithinMs
    expect(all().toSorted((a, b) => a - b)).toEqual(sent);
    for (const worker of workers) expect(worker.ids().length).toBeGreaterThan(0);
    await Promise.all(workers.map((worker) => worker.stop()));
    await Promise.all(queues.map((queue) => queue.close()));
  });

  it("leaves a job with a worker that is slow and alive", async () => {
    const [one, other] = await Promise.all([at.open(), at.open()]);
    await one.enqueue(aJob(1));
    const slow = collector(one, () => {});
    await slow.until(1);
    const idle = collector(other);
    await pause(clock, 3_500); // more than three times ackWithinMs
    expect(idle.got).toEqual([]);
    slow.got[0]?.done();
    await Promise.all([slow.stop(), idle.stop()]);
    await Promise.all([one.close(), other.close()]);
  });

  it("makes a dead letter of a job whose workers die again and again", async () => {
    const queue = await at.open({ ackWithinMs: 100, attemptsMax: 1, inFlightMax: 100 });
    await queue.enqueue(aJob(1));
    const dies = collector(queue, () => {});
    await dies.until(1);
    await queue.close(); // it says nothing of what it holds any more, as if it had died
    for (let waitedMs = 0; queue.stats().dead === 0 && waitedMs < 20_000; waitedMs += 50) await pause(clock, 50);
    const [dead] = await queue.deadLetters(5);
    expect(dead).toMatchObject({ attempts: 8, job: { messageId: 1 } });
    expect(dies.got.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const { streams } = await at.manager();
    expect((await streams.info(streamNames(at.cluster).jobs)).state.messages).toBe(0);
    await dies.stop();
  });

  it("does not start with more replicas than there are servers, and says so", async () => {
    await expect(at.open({ replicas: 3 })).rejects.toMatchObject({ code: "PUSH_QUEUE_UNFIT", retryable: false });
    await expect(at.open({ replicas: 3 })).rejects.toThrow(/3 replicas/);
  });

  it("tries again while the servers are silent or elect a leader, and gives up in time", async () => {
    const services = await startServices({ only: ["nats"], given: {} });
    const [server] = services.nats as [Engine];
    const settings = { ...natsDefaults, url: services.environment.NATS_URL ?? "" };
    const nats = await connectNats({ settings, name: "test", log: silentLogger });
    try {
      const limits = { ...testSettings, enqueueTryMs: 300, enqueueWithinMs: 3_000 };
      const { cluster } = at;
      const queue = await openJetStreamPushQueue({ nats, cluster, clock, settings: limits, log: silentLogger });
      server.pause();
      clock.after(1_000, () => server.resume());
      await queue.enqueue(aJob(1));
      expect(queue.stats()).toMatchObject({ enqueued: 0, duplicates: 1 }); // what the server found when it woke up was the first try
      server.pause();
      const startedMs = clock.monotonicMs();
      await expect(queue.enqueue(aJob(2))).rejects.toMatchObject({ code: "UNAVAILABLE", executed: "maybe" });
      expect(clock.monotonicMs() - startedMs).toBeGreaterThan(2_000);
      server.resume();
    } finally {
      await nats.close();
      await services.stop();
    }
  });

  it("refuses jobs at once while NATS is away", async () => {
    const nats = await at.connect();
    const queue = await openJetStreamPushQueue({
      nats,
      cluster: at.cluster,
      clock,
      settings: testSettings,
      log: silentLogger,
    });
    await nats.close();
    await expect(queue.enqueue(aJob(1))).rejects.toMatchObject({ code: "UNAVAILABLE", executed: "no" });
    expect(queue.stats().refused).toBe(1);
  });
});
