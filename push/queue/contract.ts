// What every push queue does. Each implementation runs this suite.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PushJob, PushJobKind } from "../../proto/index.ts";
import { pause, systemClock } from "../../runtime/index.ts";
import { type PushSettings, pushDefaults } from "../settings.ts";
import type { PushDelivery, PushQueue } from "./port.ts";

/** Where one queue lies. */
export interface QueuePlace {
  /** The queue as one process has it. The second one is opened when the first was closed, or has died. */
  open(): Promise<PushQueue>;
  close(): Promise<void>;
}

export const testSettings: PushSettings = {
  ...pushDefaults,
  replicas: 1,
  inFlightMax: 5,
  jobsMax: 50,
  queueBytesMax: 20_000,
  ackWithinMs: 1_000,
  pullMs: 1_000,
  retryPauseMs: 100,
};

export function aJob(messageId: number, more: Partial<PushJob> = {}): PushJob {
  const timeMs = systemClock.wallMs();
  const job = { userId: 7, channelId: "d7.8", messageId, kind: PushJobKind.NOTIFY, author: 8, timeMs };
  return { ...job, deviceId: 0, notBeforeMs: 0, ...more };
}

/** Collects what a queue gives, for a test to wait for. */
export function collector(queue: PushQueue, take: (delivery: PushDelivery) => void = (delivery) => delivery.done()) {
  const got: PushDelivery[] = [];
  const consumption = queue.consume((delivery) => {
    got.push(delivery);
    take(delivery);
  });
  return {
    got,
    ids: () => got.map(({ job }) => job.messageId),
    stop: () => consumption.stop(),
    async until(count: number, withinMs = 10_000) {
      for (let waitedMs = 0; got.length < count && waitedMs < withinMs; waitedMs += 20) await pause(systemClock, 20);
      expect(got.length).toBeGreaterThanOrEqual(count);
    },
  };
}

const holds = () => {};
/** Long enough for what must not come. */
const silence = () => pause(systemClock, 400);

export function pushQueueContract(name: string, place: () => Promise<QueuePlace>): void {
  describe(`push queue, ${name}`, () => {
    let at: QueuePlace;
    let queue: PushQueue;
    beforeEach(async () => {
      at = await place();
      queue = await at.open();
    });
    afterEach(async () => {
      await queue.close();
      await at.close();
    });

    it("gives every job that was kept, as it was enqueued, and counts", async () => {
      const jobs = [aJob(1), aJob(1, { userId: 9 }), aJob(1, { kind: PushJobKind.CLEAR }), aJob(1, { deviceId: 3 })];
      for (const job of jobs) await queue.enqueue(job);
      const { got, until, stop } = collector(queue);
      await until(4);
      const bytes = (job: PushJob) => Buffer.from(PushJob.encode(job).finish()).toString("hex");
      expect(got.map(({ job }) => bytes(job))).toEqual(jobs.map(bytes));
      expect(got.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1]);
      expect(queue.stats()).toMatchObject({ enqueued: 4, delivered: 4, done: 4, held: 0, waiting: 0 });
      await stop();
    });

    it("takes a job of the same id once, also when the first is done", async () => {
      await Promise.all([queue.enqueue(aJob(1)), queue.enqueue(aJob(1, { timeMs: 5 }))]);
      const { ids, until, stop } = collector(queue);
      await until(1);
      await queue.enqueue(aJob(1));
      await queue.enqueue(aJob(2));
      await until(2);
      await silence();
      expect(ids()).toEqual([1, 2]);
      expect(queue.stats()).toMatchObject({ enqueued: 2, duplicates: 2 });
      await stop();
    });

    it("gives a job again after the pause that its worker asked for", async () => {
      await queue.enqueue(aJob(1));
      const at: number[] = [];
      const { got, until, stop } = collector(queue, (delivery) => {
        at.push(systemClock.monotonicMs());
        if (delivery.attempt < 3) delivery.retry(300);
        else delivery.done();
      });
      await until(3);
      expect(got.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      for (const index of [1, 2]) expect((at[index] as number) - (at[index - 1] as number)).toBeGreaterThan(250);
      expect(queue.stats()).toMatchObject({ retried: 2, done: 1 });
      await stop();
    });

    it("keeps dead letters with their reason, and does not give them again", async () => {
      for (const messageId of [1, 2]) await queue.enqueue(aJob(messageId));
      const buried: Promise<void>[] = [];
      const { until, stop, ids } = collector(queue, (delivery) => {
        buried.push(delivery.deadLetter(`no ${delivery.job.messageId}`));
      });
      await until(2);
      await Promise.all(buried);
      await silence();
      expect(ids()).toEqual([1, 2]);
      const dead = await queue.deadLetters(10);
      expect(dead.map(({ job, reason, attempts }) => [job?.messageId, reason, attempts])).toEqual([
        [2, "no 2", 1],
        [1, "no 1", 1],
      ]);
      expect(await queue.deadLetters(1)).toHaveLength(1);
      expect(queue.stats()).toMatchObject({ dead: 2, held: 0 });
      await stop();
    });

    it("gives one worker no more than it may hold, and the next when one has ended", async () => {
      for (let messageId = 1; messageId <= 8; messageId++) await queue.enqueue(aJob(messageId));
      const { got, until, stop, ids } = collector(queue, holds);
      await until(5);
      await silence();
      expect(ids()).toEqual([1, 2, 3, 4, 5]);
      expect(queue.stats().held).toBe(5);
      got[2]?.done();
      await until(6);
      expect(ids().at(-1)).toBe(6);
      await stop();
      for (const [index, delivery] of got.entries()) if (index !== 2) delivery.done();
    });

    it("gives what a worker gives back, or never ended, to the next one", async () => {
      for (const messageId of [1, 2, 3]) await queue.enqueue(aJob(messageId));
      const first = collector(queue, holds);
      await first.until(3);
      await first.stop();
      first.got[0]?.done();
      first.got[1]?.retry(0);
      await queue.close(); // and the third is never heard of again
      queue = await at.open();
      const second = collector(queue);
      await second.until(2);
      await silence();
      expect(second.ids().toSorted()).toEqual([2, 3]);
      await second.stop();
    });

    it("refuses a job when it is full, and takes jobs again when there is room", async () => {
      const refused = async () => {
        for (let messageId = 1; messageId < 500; messageId++) await queue.enqueue(aJob(messageId));
      };
      await expect(refused()).rejects.toMatchObject({ code: "OVERLOADED", executed: "no" });
      const { enqueued } = queue.stats();
      expect(queue.stats().refused).toBe(1);
      const { until, stop } = collector(queue);
      await until(enqueued);
      await queue.enqueue(aJob(1_000));
      await until(enqueued + 1);
      await stop();
    });
  });
}
