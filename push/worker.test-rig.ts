// A worker on a queue of one node, on a virtual clock: users whose state a test sets, and a provider that does as it is told.

import type { PushJob, PushStateReply, UserService } from "../proto/index.ts";
import { PushJobKind } from "../proto/index.ts";
import { createVirtualClock, type References, seededRandom, silentLogger } from "../runtime/index.ts";
import { createMemoryStores } from "../storage/index.ts";
import type { Notification, PushOutcome, Registration } from "./provider/port.ts";
import { openLocalPushQueue } from "./queue/local.ts";
import type { PushQueue } from "./queue/port.ts";
import { type PushSettings, pushDefaults } from "./settings.ts";
import { type PushWorker, startPushWorker } from "./worker.ts";

export interface Sent extends Notification {
  readonly deviceId: number;
  readonly atMs: number;
}

export type Answer = (
  registration: Registration,
  notification: Notification,
  signal: AbortSignal,
) => PushOutcome | Promise<PushOutcome>;

export const ok: PushOutcome = { kind: "ok" };

/** The user's actor, as far as the worker asks it. */
export function fakeUsers(stateOf: (userId: number, channelId: string) => Promise<PushStateReply>) {
  const reference = (id: string) => ({
    pushState: ({ channelId }: { channelId: string }) => stateOf(Number(id), channelId),
  });
  return reference as unknown as References<typeof UserService>;
}

export function unread(more: Partial<PushStateReply> = {}): PushStateReply {
  return { readId: 0, deliveredId: 0, unread: 1, visibleFrom: 1, left: false, pushedId: 0, ...more };
}

export async function createRig(changed: Partial<PushSettings> = {}, seed = 1) {
  const clock = createVirtualClock();
  const stores = createMemoryStores({ clock });
  const settings = { ...pushDefaults, ...changed };
  const random = seededRandom(seed);
  const log = silentLogger;
  const sent: Sent[] = [];
  const removed: Registration[] = [];
  const states = new Map<string, PushStateReply>();
  const control = {
    /** What the provider says. */
    answer: (() => ok) as Answer,
    /** What the user's actor says; by default what `states` has. */
    ask: async (userId: number, channelId: string) => states.get(`${userId}/${channelId}`) ?? unread(),
    registrations: [{ deviceId: 1, provider: "test", token: "one" }] as Registration[],
  };
  const openQueue = () => openLocalPushQueue({ store: stores.jobs, clock, settings, log });
  const startWorker = (queue: PushQueue) =>
    startPushWorker({
      queue,
      users: fakeUsers((userId, channelId) => control.ask(userId, channelId)),
      provider: {
        async send(registration, notification, signal) {
          const outcome = await control.answer(registration, notification, signal);
          const { deviceId } = registration;
          if (outcome.kind === "ok") sent.push({ ...notification, deviceId, atMs: clock.monotonicMs() });
          return outcome;
        },
      },
      registrationsOf: async () => control.registrations,
      async removeRegistration(_userId, registration) {
        removed.push(registration);
        control.registrations = control.registrations.filter((other) => other !== registration);
      },
      settings,
      clock,
      random,
      log,
    });
  const running: { queue: PushQueue; worker: PushWorker } = await openQueue().then((queue) => ({
    queue,
    worker: startWorker(queue),
  }));

  const rig = {
    clock,
    random,
    sent,
    removed,
    states,
    control,
    running,
    job(messageId: number, more: Partial<PushJob> = {}): PushJob {
      const job = { userId: 7, channelId: "g1", messageId, kind: PushJobKind.NOTIFY, author: 8 };
      return { ...job, timeMs: clock.wallMs(), deviceId: 0, notBeforeMs: 0, ...more };
    },
    async enqueue(...jobs: PushJob[]) {
      for (const job of jobs) void running.queue.enqueue(job);
      await clock.advance(0);
    },
    told: () => sent.map(({ messageId }) => messageId),
    /** The process ends, and another one goes on with what it kept. A crash leaves what the worker holds as it is. */
    async restart(how: "stop" | "crash") {
      if (how === "stop") await rig.within(running.worker.close());
      else void running.worker.close();
      await running.queue.close();
      running.queue = await openQueue();
      running.worker = startWorker(running.queue);
      await clock.advance(0);
    },
    async within(promise: Promise<unknown>) {
      let over = false;
      void promise.finally(() => {
        over = true;
      });
      for (let passedMs = 0; !over && passedMs < 120_000; passedMs += 100) await clock.advance(100);
    },
    async close() {
      await rig.within(running.worker.close());
      await running.queue.close();
      await rig.within(stores.close());
    },
  };
  return rig;
}
