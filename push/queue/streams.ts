// The two streams of the push queue, and the one consumer that all workers share: how they are set up. Every node does it at
// its start; what is there already stays, and is brought to the settings of whoever started last.
//
//   MADANG_<cluster>_PUSH        jobs: one is deleted when a worker has acknowledged it
//   MADANG_<cluster>_PUSH_DEAD   dead letters, and the server's word on jobs that were delivered too often
//
// The server acknowledges a job before its disk has it, unless it is configured with `sync_interval: always`: without that a
// loss of power at a majority of the servers loses the jobs of the last two minutes.

import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { assert, isToken } from "../../runtime/index.ts";
import { pushErrors } from "../errors.ts";
import type { PushSettings } from "../settings.ts";

export interface StreamNames {
  readonly jobs: string;
  readonly dead: string;
  readonly workers: string;
  readonly jobSubject: string;
  readonly deadSubject: string;
  /** Where the server says that a job was delivered for the last time. */
  readonly advisories: string;
}

export function streamNames(cluster: string): StreamNames {
  assert(isToken(cluster), "the name of a cluster can stand in a subject");
  const jobs = `MADANG_${cluster}_PUSH`;
  const workers = "workers";
  return {
    jobs,
    dead: `${jobs}_DEAD`,
    workers,
    jobSubject: `madang.${cluster}.push.jobs`,
    deadSubject: `madang.${cluster}.push.dead`,
    advisories: `$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${jobs}.${workers}`,
  };
}

/** Deliveries beyond the worker's last attempt: for workers that died in it, and dead letters that could not be written. */
const SPARE_DELIVERIES = 4;
/** Steps of ackWithinMs that a job of a worker that died waits, the more often that happens to it. */
const BACK_OFF_STEPS = [1, 2, 4, 8];
const NANOS_PER_MS = 1_000_000;

const STREAM_EXISTS = 10_058;
const CONSUMER_EXISTS = 10_148;
/** More replicas than servers, no room, JetStream off: trying again does not help. */
const UNFIT: ReadonlySet<number> = new Set([10_005, 10_023, 10_028, 10_035, 10_039, 10_047, 10_074, 10_076]);

/** Rejects with PUSH_QUEUE_UNFIT if the server cannot hold them; anything else may pass. */
export async function provision(manager: JetStreamManager, names: StreamNames, settings: PushSettings): Promise<void> {
  try {
    await provisionStream(manager, names.jobs, {
      subjects: [names.jobSubject],
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New,
      max_age: settings.jobAgeMaxMs * NANOS_PER_MS,
      max_bytes: settings.queueBytesMax,
      duplicate_window: Math.min(settings.dedupeMs, settings.jobAgeMaxMs) * NANOS_PER_MS,
      num_replicas: settings.replicas,
    });
    await provisionStream(manager, names.dead, {
      subjects: [names.deadSubject, names.advisories],
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_age: settings.deadAgeMaxMs * NANOS_PER_MS,
      max_bytes: settings.deadBytesMax,
      duplicate_window: Math.min(settings.dedupeMs, settings.deadAgeMaxMs) * NANOS_PER_MS,
      num_replicas: settings.replicas,
    });
    await provisionConsumer(manager, names, settings);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || !UNFIT.has(error.code)) throw error;
    throw pushErrors.PUSH_QUEUE_UNFIT({
      cause: error,
      message: `The NATS server cannot hold the push queue with ${settings.replicas} replicas: ${error.message}.`,
    });
  }
}

type StreamShape = Omit<Parameters<JetStreamManager["streams"]["add"]>[0], "name">;

/** To add what is there already, with the same settings, changes nothing: so nodes may start at once. */
async function provisionStream(manager: JetStreamManager, name: string, shape: StreamShape): Promise<void> {
  try {
    await manager.streams.add({ name, storage: StorageType.File, ...shape });
  } catch (error) {
    if (!isCode(error, STREAM_EXISTS)) throw error;
    const { retention: _fixed, ...changeable } = shape;
    await manager.streams.update(name, changeable);
  }
}

async function provisionConsumer(manager: JetStreamManager, names: StreamNames, settings: PushSettings): Promise<void> {
  const backoff = BACK_OFF_STEPS.map((step) => step * settings.ackWithinMs * NANOS_PER_MS);
  const changeable = {
    // With a back-off list the server takes its first step for ack_wait.
    ack_wait: backoff[0] as number,
    backoff,
    max_deliver: Math.max(settings.attemptsMax, backoff.length) + SPARE_DELIVERIES,
    max_ack_pending: settings.ackPendingMax,
  };
  const fixed = { durable_name: names.workers, ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All };
  try {
    await manager.consumers.add(names.jobs, { ...fixed, ...changeable });
  } catch (error) {
    if (!isCode(error, CONSUMER_EXISTS)) throw error;
    await manager.consumers.update(names.jobs, names.workers, changeable);
  }
}

function isCode(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}
