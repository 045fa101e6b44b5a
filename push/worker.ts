// The push worker: takes jobs, and tells devices through a provider. Any number of workers share one queue.
//
// (K1) Nobody is told of what the user's actor knows, under a verify, to be read, acknowledged by a device, out of sight, or
//      left. It is asked right before the provider is.
// (K2) A channel is told to a user once in collapseMs: the first message at once, then the newest of those that came
//      meanwhile, with the number of unread ones. Jobs that a newer one stands for are done. Among several workers each does
//      so by itself; the provider's collapse key, the channel, makes one of what they tell, and a job that is tried again gives
//      way to one for a newer message.
// (K3) What is told of one channel of a user is told in order, one after another.
// (K4) A device whose provider is away is tried again later by itself: the others are not told twice.
// (K5) Every job ends as done, to be tried again, or a dead letter; nothing that it waits for lasts without end.

import { type PushJob, PushJobKind, type UserService } from "../proto/index.ts";
import {
  type Clock,
  createGate,
  type Gate,
  type Logger,
  type Random,
  type References,
  type Timer,
  toMadangError,
} from "../runtime/index.ts";
import type { Notification, PushOutcome, PushProvider, Registration } from "./provider/port.ts";
import { forDevice, type PushDelivery, type PushQueue } from "./queue/port.ts";
import type { PushSettings } from "./settings.ts";

export interface PushWorkerOptions {
  readonly queue: Pick<PushQueue, "consume" | "enqueue">;
  readonly users: References<typeof UserService>;
  readonly provider: PushProvider;
  /** Where the user's devices are reached; may be empty. */
  readonly registrationsOf: (userId: number) => Promise<readonly Registration[]>;
  /** The device is gone. */
  readonly removeRegistration: (userId: number, registration: Registration) => Promise<void>;
  readonly settings: PushSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Counters since the start. */
export interface PushWorkerStats {
  /** Notifications that a provider has taken, a device each. */
  readonly sent: number;
  /** Jobs that a newer one of the channel stands for. */
  readonly collapsed: number;
  /** Jobs for what was read, acknowledged or left meanwhile. */
  readonly needless: number;
  /** Jobs of users whom no provider reaches. */
  readonly unreachable: number;
  readonly retried: number;
  readonly deadLetters: number;
  readonly deadTokens: number;
}

export interface PushWorker {
  stats(): PushWorkerStats;
  /** Finishes what it has begun, and gives back what it has not. */
  close(): Promise<void>;
}

export function startPushWorker(options: PushWorkerOptions): PushWorker {
  return new Worker(options);
}

/** One channel of one user, or of one device of theirs that is tried by itself (K4). */
interface Lane {
  waiting: PushDelivery[];
  /** The one that is being worked on, if any. */
  work: Promise<void> | undefined;
  timer: Timer | undefined;
  toldId: number;
  toldMs: number;
}

class Worker implements PushWorker {
  readonly #options: PushWorkerOptions;
  readonly #gate: Gate;
  /** Those that were told of lately come last. */
  readonly #lanes = new Map<string, Lane>();
  readonly #counts = {
    sent: 0,
    collapsed: 0,
    needless: 0,
    unreachable: 0,
    retried: 0,
    deadLetters: 0,
    deadTokens: 0,
  };
  readonly #consumption: { stop(): Promise<void> };
  #closed = false;

  constructor(options: PushWorkerOptions) {
    this.#options = options;
    this.#gate = createGate(options.settings.sendsAtOnceMax);
    this.#consumption = options.queue.consume((delivery) => this.#take(delivery));
  }

  stats(): PushWorkerStats {
    return { ...this.#counts };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#consumption.stop();
    for (const lane of this.#lanes.values()) {
      lane.timer?.cancel();
      for (const delivery of lane.waiting.splice(0)) delivery.retry(0);
    }
    await Promise.all([...this.#lanes.values()].map(({ work }) => work));
  }

  // ---- lanes

  #take(delivery: PushDelivery): void {
    const { clock, settings } = this.#options;
    const { userId, channelId, deviceId, notBeforeMs } = delivery.job;
    const waitMs = notBeforeMs - clock.wallMs();
    if (waitMs > 0) {
      delivery.retry(Math.min(waitMs, settings.retryPauseMaxMs));
      return;
    }
    const key = `${userId}/${channelId}/${deviceId}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      this.#forgetOld();
      lane = { waiting: [], work: undefined, timer: undefined, toldId: 0, toldMs: Number.NEGATIVE_INFINITY };
      this.#lanes.set(key, lane);
    }
    lane.waiting.push(delivery);
    this.#consider(key, lane);
  }

  /** (K2, K3) */
  #consider(key: string, lane: Lane): void {
    if (lane.work !== undefined || lane.waiting.length === 0 || this.#closed) return;
    const { clock, settings } = this.#options;
    const clears = lane.waiting.some(({ job }) => job.kind === PushJobKind.CLEAR);
    const waitMs = lane.toldMs + settings.collapseMs - clock.monotonicMs();
    if (waitMs > 0 && !clears) {
      lane.timer ??= clock.after(waitMs, () => {
        lane.timer = undefined;
        this.#consider(key, lane);
      });
      return;
    }
    lane.timer?.cancel();
    lane.timer = undefined;
    const batch = lane.waiting;
    lane.waiting = [];
    lane.work = this.#gate(() => this.#work(lane, batch)).then(() => {
      lane.work = undefined;
      this.#lanes.delete(key); // to the end
      this.#lanes.set(key, lane);
      this.#consider(key, lane);
    });
  }

  #forgetOld(): void {
    const { clock, settings } = this.#options;
    const oldMs = clock.monotonicMs() - settings.rememberedMs;
    for (const [key, { work, waiting, toldMs }] of this.#lanes) {
      if (work !== undefined || waiting.length > 0) continue;
      if (toldMs > oldMs && this.#lanes.size < settings.rememberedMax) return;
      this.#lanes.delete(key);
    }
  }

  // ---- jobs

  async #work(lane: Lane, batch: readonly PushDelivery[]): Promise<void> {
    if (this.#closed) {
      for (const delivery of batch) delivery.retry(0); // it waited at the gate
      return;
    }
    const clear = this.#newest(batch, PushJobKind.CLEAR);
    if (clear !== undefined) await this.#insure(clear, () => this.#tell(lane, clear, 0));
    const notify = this.#newest(batch, PushJobKind.NOTIFY);
    if (notify !== undefined) await this.#insure(notify, () => this.#notify(lane, notify));
  }

  /** (K2) The others are done: the newest stands for them. */
  #newest(batch: readonly PushDelivery[], kind: PushJobKind): PushDelivery | undefined {
    const sorted = batch.filter(({ job }) => job.kind === kind).sort((a, b) => a.job.messageId - b.job.messageId);
    const newest = sorted.pop();
    for (const older of sorted) {
      this.#counts.collapsed += 1;
      older.done();
    }
    return newest;
  }

  /** (K5) */
  async #insure(delivery: PushDelivery, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (thrown) {
      const { code, message } = toMadangError(thrown);
      await this.#later(delivery, `${code}: ${message}`, 0);
    }
  }

  async #notify(lane: Lane, delivery: PushDelivery): Promise<void> {
    const { userId, channelId, messageId } = delivery.job;
    if (messageId <= lane.toldId) {
      this.#counts.collapsed += 1;
      delivery.done();
      return;
    }
    const deadlineMs = this.#options.settings.askWithinMs;
    const state = await this.#options.users(String(userId)).pushState({ channelId }, { deadlineMs });
    const { readId, deliveredId, visibleFrom, left, unread, pushedId } = state;
    if (left || messageId <= readId || messageId <= deliveredId || messageId < visibleFrom) {
      this.#counts.needless += 1; // (K1)
      delivery.done();
      return;
    }
    // A newer message has a job of its own, which may have been told by another worker while this one waited.
    const again = delivery.attempt > 1 || delivery.job.deviceId !== 0;
    if (again && messageId < pushedId) {
      this.#counts.collapsed += 1;
      delivery.done();
      return;
    }
    await this.#tell(lane, delivery, unread);
  }

  async #tell(lane: Lane, delivery: PushDelivery, unread: number): Promise<void> {
    const { userId, channelId, messageId, author, kind, deviceId } = delivery.job;
    const all = await this.#options.registrationsOf(userId);
    const registrations = deviceId === 0 ? all : all.filter((registration) => registration.deviceId === deviceId);
    const what = kind === PushJobKind.CLEAR ? "clear" : "notify";
    const notification: Notification = { kind: what, userId, channelId, messageId, author, unread };
    const outcomes = await Promise.all(
      registrations.map(async (to) => ({ to, outcome: await this.#send(to, notification) })),
    );
    if (outcomes.some(({ outcome }) => outcome.kind === "ok") && what === "notify") {
      lane.toldId = Math.max(lane.toldId, messageId);
      lane.toldMs = this.#options.clock.monotonicMs();
    }
    await this.#conclude(delivery, outcomes);
  }

  async #send(registration: Registration, notification: Notification): Promise<PushOutcome> {
    const { clock, provider, settings } = this.#options;
    const abort = new AbortController();
    let timer: Timer | undefined;
    const late = new Promise<PushOutcome>((resolve) => {
      timer = clock.after(settings.sendWithinMs, () => {
        abort.abort();
        resolve({ kind: "retry", afterMs: 0, reason: "The provider did not answer in time." });
      });
    });
    const answer = provider.send(registration, notification, abort.signal).catch((thrown): PushOutcome => {
      return { kind: "retry", afterMs: 0, reason: toMadangError(thrown).message };
    });
    const outcome = await Promise.race([answer, late]);
    timer?.cancel();
    return outcome;
  }

  async #conclude(
    delivery: PushDelivery,
    outcomes: readonly { readonly to: Registration; readonly outcome: PushOutcome }[],
  ): Promise<void> {
    const { userId } = delivery.job;
    const again: { readonly deviceId: number; readonly afterMs: number; readonly reason: string }[] = [];
    let failure: string | undefined;
    for (const { to, outcome } of outcomes) {
      if (outcome.kind === "ok") this.#counts.sent += 1;
      else if (outcome.kind === "failed") failure ??= outcome.reason;
      else if (outcome.kind === "retry") again.push({ deviceId: to.deviceId, ...outcome });
      else await this.#remove(userId, to);
    }
    if (outcomes.length === 0) this.#counts.unreachable += 1;
    const [first] = again;
    if (first !== undefined && again.length === outcomes.length) {
      const afterMs = Math.max(...again.map((one) => one.afterMs));
      return this.#later(delivery, first.reason, afterMs);
    }
    for (const { deviceId, afterMs } of again) await this.#alone(delivery.job, deviceId, afterMs); // (K4)
    if (failure === undefined) delivery.done();
    else await this.#bury(delivery, failure);
  }

  async #remove(userId: number, registration: Registration): Promise<void> {
    this.#counts.deadTokens += 1;
    try {
      await this.#options.removeRegistration(userId, registration);
    } catch (thrown) {
      // The next notification finds it dead again.
      this.#options.log.warn({ userId, error: toMadangError(thrown) }, "a dead registration could not be removed");
    }
  }

  async #alone(job: PushJob, deviceId: number, afterMs: number): Promise<void> {
    const { queue, clock, settings } = this.#options;
    const notBeforeMs = clock.wallMs() + Math.max(afterMs, settings.retryPauseMs);
    await queue.enqueue(forDevice(job, deviceId, notBeforeMs));
    this.#counts.retried += 1;
  }

  async #later(delivery: PushDelivery, reason: string, afterMs: number): Promise<void> {
    const { attemptsMax, retryPauseMs, retryPauseMaxMs } = this.#options.settings;
    if (delivery.attempt >= attemptsMax) return this.#bury(delivery, reason);
    this.#counts.retried += 1;
    const pauseMs = Math.min(retryPauseMaxMs, retryPauseMs * 2 ** (delivery.attempt - 1));
    delivery.retry(Math.max(afterMs, pauseMs * (0.5 + this.#options.random.next() / 2)));
  }

  async #bury(delivery: PushDelivery, reason: string): Promise<void> {
    const { userId, channelId, messageId } = delivery.job;
    this.#counts.deadLetters += 1;
    this.#options.log.warn({ userId, channelId, messageId, reason }, "a push notification was given up");
    await delivery.deadLetter(reason);
  }
}
