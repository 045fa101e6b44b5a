// The push queue of one node without servers: in memory, and every job in the node's own store until it is done, so that a
// restart loses none.
//
// What a restart forgets: how often a job was tried, how long it was to wait, and the ids of jobs that are done. So a job may
// come again early, and one that was done just before may come twice if it is enqueued twice.

import { DeadPush, PushJob } from "../../proto/index.ts";
import { assert, type Clock, type Logger, runtimeErrors, type Timer, toMadangError } from "../../runtime/index.ts";
import type { JobRow, JobStore } from "../../storage/index.ts";
import type { PushSettings } from "../settings.ts";
import { jobId, noCounts, type PushDelivery, type PushQueue, type PushQueueStats } from "./port.ts";

export interface LocalPushQueueOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly settings: PushSettings;
  readonly log: Logger;
}

const JOBS = "push";
const DEAD = "push-dead";

interface Item {
  readonly number: number;
  readonly job: PushJob;
  attempts: number;
}

interface KnownId {
  readonly untilMs: number;
  readonly kept: Promise<void>;
}

/** Reads what was kept, and goes on from there. */
export async function openLocalPushQueue(options: LocalPushQueueOptions): Promise<PushQueue> {
  const { store } = options;
  return new LocalPushQueue(options, await store.list(JOBS), await store.list(DEAD));
}

class LocalPushQueue implements PushQueue {
  readonly #options: LocalPushQueueOptions;
  readonly #counts = noCounts();
  #ready: Item[] = [];
  /** In the order of their ends, for all are known equally long. */
  readonly #ids = new Map<string, KnownId>();
  readonly #later = new Set<Timer>();
  readonly #removing = new Set<Promise<void>>();
  readonly #dead: number[];
  #lastNumber: number;
  #size: number;
  #held = 0;
  #take: ((delivery: PushDelivery) => void) | undefined;
  #giving = false;
  #closed = false;

  constructor(options: LocalPushQueueOptions, jobs: readonly JobRow[], dead: readonly JobRow[]) {
    this.#options = options;
    this.#dead = dead.map(({ number }) => number);
    this.#lastNumber = Math.max(0, ...this.#dead.slice(-1), ...jobs.slice(-1).map(({ number }) => number));
    this.#size = jobs.length;
    const kept = Promise.resolve();
    for (const { number, value } of jobs) {
      const job = PushJob.decode(value);
      this.#ready.push({ number, job, attempts: 0 });
      this.#remember(jobId(job), kept);
    }
  }

  // ---- enqueue

  enqueue(job: PushJob): Promise<void> {
    const id = jobId(job);
    this.#forgetOld();
    const known = this.#ids.get(id);
    if (known !== undefined) {
      this.#counts.duplicates += 1;
      return known.kept; // (Q3), and kept is said when it is
    }
    if (this.#closed || this.#size >= this.#options.settings.jobsMax) {
      this.#counts.refused += 1;
      return Promise.reject(
        this.#closed ? runtimeErrors.SHUTTING_DOWN() : runtimeErrors.OVERLOADED({ message: "The push queue is full." }),
      );
    }
    this.#size += 1;
    const kept = this.#keep(job).catch((error) => {
      this.#size -= 1;
      this.#counts.refused += 1;
      this.#ids.delete(id);
      throw error;
    });
    this.#remember(id, kept);
    return kept;
  }

  async #keep(job: PushJob): Promise<void> {
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    await this.#options.store.put(JOBS, { number, value: PushJob.encode(job).finish() });
    this.#counts.enqueued += 1;
    this.#ready.push({ number, job, attempts: 0 });
    this.#give();
  }

  #remember(id: string, kept: Promise<void>): void {
    const { clock, settings } = this.#options;
    this.#ids.set(id, { untilMs: clock.monotonicMs() + settings.dedupeMs, kept });
  }

  #forgetOld(): void {
    const { clock, settings } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const [id, { untilMs }] of this.#ids) {
      if (untilMs > nowMs && this.#ids.size < settings.dedupeIdsMax) return;
      this.#ids.delete(id);
    }
  }

  // ---- deliveries

  consume(take: (delivery: PushDelivery) => void): { stop(): Promise<void> } {
    assert(this.#take === undefined, "one worker consumes");
    this.#take = take;
    this.#give();
    return {
      stop: async () => {
        this.#take = undefined;
      },
    };
  }

  /** In a turn of its own, so that whoever ends a delivery or enqueues a job is not called back in the middle of it. */
  #give(): void {
    if (this.#giving) return;
    this.#giving = true;
    this.#options.clock.soon(() => {
      this.#giving = false;
      const { settings, clock } = this.#options;
      let given = 0;
      while (this.#take !== undefined && this.#held < settings.inFlightMax && given < this.#ready.length) {
        const item = this.#ready[given++] as Item;
        if (clock.wallMs() - item.job.timeMs > settings.jobAgeMaxMs) this.#remove(item);
        else this.#take(this.#deliver(item));
      }
      this.#ready.splice(0, given);
    });
  }

  #deliver(item: Item): PushDelivery {
    item.attempts += 1;
    this.#held += 1;
    this.#counts.delivered += 1;
    const end = (count: "done" | "retried" | "dead") => {
      this.#held -= 1;
      this.#counts[count] += 1;
      this.#give();
    };
    return {
      job: item.job,
      attempt: item.attempts,
      done: () => {
        this.#remove(item);
        end("done");
      },
      retry: (afterMs) => {
        this.#again(item, afterMs);
        end("retried");
      },
      deadLetter: async (reason) => {
        try {
          await this.#bury(item, reason);
        } catch (error) {
          this.#options.log.warn(
            { error: toMadangError(error) },
            "a dead letter could not be kept; its job comes again",
          );
          this.#again(item, this.#options.settings.retryPauseMs);
          end("retried");
          return;
        }
        this.#remove(item);
        end("dead");
      },
    };
  }

  #again(item: Item, afterMs: number): void {
    if (this.#closed) return; // it is read again at the next start
    const timer = this.#options.clock.after(afterMs, () => {
      this.#later.delete(timer);
      this.#ready.push(item);
      this.#give();
    });
    this.#later.add(timer);
  }

  /** Nobody waits for it: a job that is still there after a crash comes again. */
  #remove({ number }: Item): void {
    this.#size -= 1;
    const removed = this.#options.store.remove(JOBS, number).catch((error) => {
      this.#options.log.warn({ error: toMadangError(error) }, "a push job that is done could not be removed");
    });
    this.#removing.add(removed);
    void removed.finally(() => this.#removing.delete(removed));
  }

  // ---- dead letters

  async #bury({ job, attempts }: Item, reason: string): Promise<void> {
    const { store, clock, settings } = this.#options;
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    const value = DeadPush.encode({ job, reason, attempts, timeMs: clock.wallMs() }).finish();
    await store.put(DEAD, { number, value });
    this.#dead.push(number);
    while (this.#dead.length > settings.deadJobsMax) await store.remove(DEAD, this.#dead.shift() as number);
  }

  async deadLetters(max: number): Promise<DeadPush[]> {
    const rows = await this.#options.store.list(DEAD);
    return rows
      .slice(-max)
      .reverse()
      .map(({ value }) => DeadPush.decode(value));
  }

  stats(): PushQueueStats {
    return { ...this.#counts, waiting: this.#size - this.#held, held: this.#held };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#take = undefined;
    for (const timer of this.#later) timer.cancel();
    this.#later.clear();
    await Promise.all(this.#removing);
  }
}
