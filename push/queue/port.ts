// The push queue: jobs wait here until a worker has told somebody, or found that nobody has to be told.
//
// (Q1) A job that was enqueued is kept: it is delivered until it is done, becomes a dead letter, or is older than jobAgeMaxMs.
// (Q2) At least once. Each delivery is held by one worker; that of a worker that died goes to another.
// (Q3) A job whose id was enqueued within dedupeMs changes nothing.
// (Q4) It is bounded: beyond that a job is refused with OVERLOADED, and what waits stays.
// (Q5) A worker holds at most inFlightMax deliveries.

import { type DeadPush, type PushJob, PushJobKind } from "../../proto/index.ts";

export interface PushDelivery {
  readonly job: PushJob;
  /** 1 the first time. A queue of one node counts anew after a restart. */
  readonly attempt: number;
  // End it by one of these, once.
  done(): void;
  /** Comes again after so long, to whichever worker. */
  retry(afterMs: number): void;
  /** Resolves when it is kept as a dead letter; if that fails it comes again. */
  deadLetter(reason: string): Promise<void>;
}

/** Counters of this process since the start, but for `waiting` and `held`, which say how it is now. */
export interface PushQueueStats {
  readonly enqueued: number;
  readonly duplicates: number;
  readonly refused: number;
  readonly delivered: number;
  readonly done: number;
  readonly retried: number;
  readonly dead: number;
  /** Jobs that no worker holds, as far as this process knows. */
  readonly waiting: number;
  /** Deliveries that this process has not ended. */
  readonly held: number;
}

export interface PushQueue {
  /** Resolves when the job is kept, or was before. Rejects with OVERLOADED or UNAVAILABLE, within some ten seconds. */
  enqueue(job: PushJob): Promise<void>;
  /** Gives jobs from now on. Stopping resolves when no further one comes; those that are held are still to be ended. */
  consume(take: (delivery: PushDelivery) => void): { stop(): Promise<void> };
  /** The newest ones, newest first. */
  deadLetters(max: number): Promise<DeadPush[]>;
  stats(): PushQueueStats;
  /** Stop consuming first. */
  close(): Promise<void>;
}

/** One job a (user, message); a second device of the user that has to be told later is another one. */
export function jobId({ userId, channelId, messageId, kind, deviceId }: PushJob): string {
  const what = kind === PushJobKind.CLEAR ? "clear" : "notify";
  return `${userId}.${channelId}.${messageId}.${what}${deviceId === 0 ? "" : `.${deviceId}`}`;
}

/** The same job for one device, that is left to be told later. Field by field: a decoded job has its zeros by its kind only. */
export function forDevice(job: PushJob, deviceId: number, notBeforeMs: number): PushJob {
  const { userId, channelId, messageId, kind, author, timeMs } = job;
  return { userId, channelId, messageId, kind, author, timeMs, deviceId, notBeforeMs };
}

/** What the implementations count. */
export function noCounts() {
  return { enqueued: 0, duplicates: 0, refused: 0, delivered: 0, done: 0, retried: 0, dead: 0 };
}
