// The push queue of a cluster, on JetStream: one work-queue stream, and one pull consumer that all workers share.
//
// (S1) The stream knows a job by the header Nats-Msg-Id = jobId, so a job is sent again after a silence without harm.
// (S2) A worker asks for as many jobs as it has room for; what it holds it says to be alive for, so that the server gives a
//      job to another worker only if this one is gone.
// (S3) A job leaves the stream when it is acknowledged, or is in the stream of dead letters. The worker gives up before
//      max_deliver; a job of workers that died again and again reaches it, and then the server's advisory brings whichever
//      worker hears it to move the job. If none is alive to hear it, the advisory lies in the stream of dead letters, and
//      the job in its own until its age ends it.

import type { Consumer, ConsumerMessages, JetStreamClient, JetStreamManager, JsMsg, PubAck } from "@nats-io/jetstream";
import { JetStreamApiError, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { DeadPush, PushJob } from "../../proto/index.ts";
import {
  assert,
  type Clock,
  createGate,
  type Gate,
  type Logger,
  MadangError,
  type Nats,
  pause,
  runtimeErrors,
  type Timer,
  toMadangError,
} from "../../runtime/index.ts";
import { pushErrors } from "../errors.ts";
import type { PushSettings } from "../settings.ts";
import { jobId, noCounts, type PushDelivery, type PushQueue, type PushQueueStats } from "./port.ts";
import { provision, type StreamNames, streamNames } from "./streams.ts";

export interface JetStreamPushQueueOptions {
  /** A connection that others may use too; closing the queue leaves it open. */
  readonly nats: Nats;
  readonly cluster: string;
  readonly clock: Clock;
  readonly settings: PushSettings;
  readonly log: Logger;
}

/** Between tries to set up the streams, or to get jobs, while the servers elect a leader or are away. */
const PAUSE_MS = 500;
/** Tries of a start, ten seconds of them. */
const PROVISION_TRIES = 20;
const MAXIMUM_BYTES_EXCEEDED = 10_077;
const INSUFFICIENT_RESOURCES = 10_023;

/** Sets up what is missing. Rejects with PUSH_QUEUE_UNFIT, or UNAVAILABLE. */
export async function openJetStreamPushQueue(options: JetStreamPushQueueOptions): Promise<PushQueue> {
  const { nats, cluster, clock, settings, log } = options;
  const names = streamNames(cluster);
  for (let tries = 1; ; tries++) {
    try {
      const manager = await jetstreamManager(nats.connection);
      await provision(manager, names, settings);
      return new JetStreamPushQueue(options, names, manager);
    } catch (thrown) {
      const error = toOpenError(thrown);
      if (!error.retryable || tries === PROVISION_TRIES) throw error;
      log.warn({ error, retryAfterMs: PAUSE_MS }, "the push queue is not there yet");
      await pause(clock, PAUSE_MS);
    }
  }
}

function toOpenError(thrown: unknown): MadangError {
  if (thrown instanceof MadangError) return thrown;
  const { name, message } = thrown as Error;
  if (name === "JetStreamNotEnabled") return pushErrors.PUSH_QUEUE_UNFIT({ cause: thrown });
  return runtimeErrors.UNAVAILABLE({ cause: thrown, message: `The push queue cannot be set up: ${message}` });
}

class JetStreamPushQueue implements PushQueue {
  readonly #options: JetStreamPushQueueOptions;
  readonly #names: StreamNames;
  readonly #manager: JetStreamManager;
  readonly #stream: JetStreamClient;
  readonly #counts = noCounts();
  readonly #gate: Gate;
  #enqueuing = 0;
  readonly #held = new Set<JsMsg>();
  #waiting = 0;
  #phase: "idle" | "consuming" | "stopping" = "idle";
  #request: ConsumerMessages | undefined;
  #roomCame: (() => void) | undefined;
  #alive: Timer | undefined;

  constructor(options: JetStreamPushQueueOptions, names: StreamNames, manager: JetStreamManager) {
    this.#options = options;
    this.#names = names;
    this.#manager = manager;
    this.#stream = jetstream(options.nats.connection);
    this.#gate = createGate(options.settings.publishAtOnceMax);
  }

  // ---- enqueue

  async enqueue(job: PushJob): Promise<void> {
    const { nats, clock, settings } = this.#options;
    if (!nats.connected || this.#enqueuing >= settings.enqueuingMax) {
      this.#counts.refused += 1;
      throw nats.connected ? runtimeErrors.OVERLOADED() : runtimeErrors.UNAVAILABLE({ message: "NATS is away." });
    }
    this.#enqueuing += 1;
    const untilMs = clock.monotonicMs() + settings.enqueueWithinMs;
    try {
      const bytes = PushJob.encode(job).finish();
      const { duplicate } = await this.#gate(() => this.#publish(this.#names.jobSubject, bytes, jobId(job), untilMs));
      this.#counts[duplicate ? "duplicates" : "enqueued"] += 1;
    } catch (thrown) {
      this.#counts.refused += 1;
      throw toEnqueueError(thrown);
    } finally {
      this.#enqueuing -= 1;
    }
  }

  /** (S1) Nobody answers while the servers elect a leader of the stream, or are away: again and again, until the time is over. */
  async #publish(subject: string, bytes: Uint8Array, msgID: string, untilMs: number): Promise<PubAck> {
    const { nats, clock, settings } = this.#options;
    let last: unknown = runtimeErrors.UNAVAILABLE({ message: "The push queue could not be asked in time." });
    for (;;) {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0) throw last;
      try {
        if (nats.connected) {
          return await this.#stream.publish(subject, bytes, {
            msgID,
            timeout: Math.min(settings.enqueueTryMs, leftMs),
          });
        }
      } catch (error) {
        if (isFull(error)) throw error;
        last = error;
      }
      await pause(clock, PAUSE_MS);
    }
  }

  // ---- deliveries

  consume(take: (delivery: PushDelivery) => void): { stop(): Promise<void> } {
    assert(this.#phase === "idle", "one worker consumes");
    this.#phase = "consuming";
    const pulling = this.#pull(take);
    const { nats, log } = this.#options;
    const advisories = nats.subscribe(this.#names.advisories, this.#names.workers, (message) => {
      this.#bury(message.data).catch((error) => log.warn({ error }, "a job that was delivered too often stays"));
    });
    this.#sayAlive();
    return {
      stop: async () => {
        this.#phase = "stopping";
        advisories.unsubscribe();
        this.#request?.stop();
        this.#roomCame?.();
        await pulling;
        this.#phase = "idle";
      },
    };
  }

  /** (S2) */
  async #pull(take: (delivery: PushDelivery) => void): Promise<void> {
    const { clock, settings, log } = this.#options;
    let consumer: Consumer | undefined;
    while (this.#phase === "consuming") {
      const room = settings.inFlightMax - this.#held.size;
      if (room <= 0) {
        await new Promise<void>((resolve) => {
          this.#roomCame = resolve;
        });
        continue;
      }
      try {
        consumer ??= await this.#stream.consumers.get(this.#names.jobs, this.#names.workers);
        await this.#pullOnce(consumer, Math.min(room, settings.pullMax), take);
      } catch (error) {
        if (this.#phase !== "consuming") return;
        log.warn({ error, retryAfterMs: PAUSE_MS }, "no jobs come from the push queue");
        consumer = undefined;
        await pause(clock, PAUSE_MS);
        await provision(this.#manager, this.#names, settings).catch(() => undefined); // it may have been lost; said above
      }
    }
  }

  async #pullOnce(consumer: Consumer, most: number, take: (delivery: PushDelivery) => void): Promise<void> {
    const { clock, settings } = this.#options;
    const beganMs = clock.monotonicMs();
    let came = 0;
    const request = await consumer.fetch({ max_messages: most, expires: settings.pullMs });
    this.#request = request;
    for await (const message of request) {
      came += 1;
      if (this.#phase === "consuming") take(this.#deliver(message));
      else message.nak();
    }
    this.#request = undefined;
    // One that ends early with nothing was not answered: without a pause the next would follow at once, and so on.
    if (came === 0 && clock.monotonicMs() - beganMs < settings.pullMs / 2) await pause(clock, PAUSE_MS);
  }

  #deliver(message: JsMsg): PushDelivery {
    this.#held.add(message);
    this.#counts.delivered += 1;
    this.#waiting = message.info.pending;
    const job = PushJob.decode(message.data);
    const attempt = message.info.deliveryCount;
    const end = (count: "done" | "retried" | "dead") => {
      this.#held.delete(message);
      this.#counts[count] += 1;
      this.#roomCame?.();
    };
    return {
      job,
      attempt,
      done() {
        message.ack();
        end("done");
      },
      retry(afterMs) {
        message.nak(Math.ceil(afterMs));
        end("retried");
      },
      deadLetter: async (reason) => {
        try {
          await this.#publishDead({ job, reason, attempts: attempt, timeMs: this.#options.clock.wallMs() });
        } catch (error) {
          this.#options.log.warn({ error }, "a dead letter could not be kept; its job comes again");
          message.nak(this.#options.settings.retryPauseMs);
          end("retried");
          return;
        }
        message.term();
        end("dead");
      },
    };
  }

  /** (S2) */
  #sayAlive(): void {
    if (this.#alive !== undefined) return;
    const { clock, nats, settings } = this.#options;
    this.#alive = clock.after(settings.ackWithinMs / 3, () => {
      this.#alive = undefined;
      if (nats.connected) for (const message of this.#held) message.working();
      if (this.#phase === "consuming" || this.#held.size > 0) this.#sayAlive();
    });
  }

  // ---- dead letters

  #publishDead(dead: DeadPush) {
    const id = dead.job ? jobId(dead.job) : "";
    const { clock, settings } = this.#options;
    const untilMs = clock.monotonicMs() + settings.enqueueWithinMs;
    return this.#publish(this.#names.deadSubject, DeadPush.encode(dead).finish(), id, untilMs);
  }

  /** (S3) */
  async #bury(advisory: Uint8Array): Promise<void> {
    const { stream_seq: seq, deliveries } = JSON.parse(Buffer.from(advisory).toString()) as {
      stream_seq: number;
      deliveries: number;
    };
    const found = await this.#manager.streams.getMessage(this.#names.jobs, { seq });
    if (found === null) return; // somebody was faster
    const job = PushJob.decode(found.data);
    const reason = "Its workers died, or were silent, again and again.";
    await this.#publishDead({ job, reason, attempts: deliveries, timeMs: this.#options.clock.wallMs() });
    await this.#manager.streams.deleteMessage(this.#names.jobs, seq);
    this.#counts.dead += 1;
  }

  async deadLetters(max: number): Promise<DeadPush[]> {
    const { streams } = this.#manager;
    const { state } = await streams.info(this.#names.dead);
    const found: DeadPush[] = [];
    for (let seq = state.last_seq; seq >= state.first_seq && seq > 0 && found.length < max; seq--) {
      const message = await streams.getMessage(this.#names.dead, { seq });
      if (message?.subject === this.#names.deadSubject) found.push(DeadPush.decode(message.data));
    }
    return found;
  }

  stats(): PushQueueStats {
    return { ...this.#counts, waiting: this.#waiting, held: this.#held.size };
  }

  async close(): Promise<void> {
    this.#alive?.cancel();
    if (this.#options.nats.connected) await this.#options.nats.flush().catch(() => undefined); // acknowledgements on their way
  }
}

function isFull(error: unknown): boolean {
  return error instanceof JetStreamApiError && [MAXIMUM_BYTES_EXCEEDED, INSUFFICIENT_RESOURCES].includes(error.code);
}

function toEnqueueError(thrown: unknown): MadangError {
  if (thrown instanceof MadangError) return thrown;
  if (isFull(thrown)) return runtimeErrors.OVERLOADED({ cause: thrown, message: "The push queue is full." });
  const cause = toMadangError(thrown).cause;
  return runtimeErrors.UNAVAILABLE({ executed: "maybe", cause, message: "The push queue did not answer." });
}
