// Appends to many channels in turn, with so many records on their way: the next one leaves when one is settled. Which of three
// ways, the arguments tell; each has a process of its own, so that one warms up nothing for the others.
//
//   appender <fenced | unfenced | bare> <keyspace>
//
// fenced: the house's logs on the ring. unfenced: the same logs and the same store client, with a fence that grants everything
// at once. bare: one prepared insert of the driver for each record, of the same bytes at the same quorum.

import cassandra from "cassandra-driver";
import { Entry } from "../../proto/index.ts";
import { type ShardFence, silentLogger, systemClock, type Tenure } from "../../runtime/index.ts";
import { CqlClient } from "../../storage/cql/client.ts";
import { connect } from "../../storage/cql/connect.ts";
import { createCqlQuorumStore } from "../../storage/cql/quorum-store.ts";
import type { QuorumFence } from "../../storage/fence/quorum.ts";
import type { Covered } from "../../storage/fence/verifier.ts";
import { type ChannelLogStore, openCqlStores, type RingStats, storageDefaults } from "../../storage/index.ts";
import { createFencedLogs } from "../../storage/log/fenced.ts";
import { freeFence } from "../free.ts";
import { beMeasured } from "../processes.ts";
import { stampedText } from "../texts.ts";
import { openRing, translations } from "./ring.ts";

export interface AppendOrder {
  /** `<way>-<group>0`, `<way>-<group>1` …: other groups are other channels. */
  readonly group: string;
  readonly channels: number;
  /** Records on their way at a time, of all channels together. */
  readonly onTheirWay: number;
  readonly forMs: number;
}

export interface AppendRun {
  readonly cpuUs: number;
  readonly perSecond: number;
  /** Records that left together; 1 where nobody gathers. */
  readonly together: number;
  /** Reads of the fence a record. */
  readonly verifies: number;
  /** Requests that the ring did not carry out in time, and that were sent again. */
  readonly failed: number;
}

/** Keeps records on their way, and calls `settled` for what is kept. */
interface Way {
  prepare(order: AppendOrder): Promise<void>;
  /** Begins; what is returned stops the flow and resolves when nothing is on its way any more. */
  begin(order: AppendOrder, settled: (count: number) => void): () => Promise<void>;
  counts(): Pick<RingStats, "batches" | "batchRows" | "verifyReads"> & { readonly failed: number };
}

const [way = "", keyspace = ""] = process.argv.slice(2);
const contactPoints = process.env.CQL_CONTACT_POINTS ?? "";
const translate = process.env.CQL_TRANSLATE ?? "";
const ringAddress = { contactPoints: contactPoints.split(","), keyspace, translate: translations(translate) };
const SHARDS = 1_024;
/** Channels that are opened at once: each is a read. */
const OPENING = 200;
/** What the house has on its way to the ring; the bare insert gets as much. */
const IN_FLIGHT = storageDefaults.requestsInFlightMax;

const numbers = { messageId: 12_345, author: 1, producer: 1_000, number: 12_345, ordinal: 12_345, settled: 12_344 };
const content = { text: { text: stampedText(0), replyTo: 0 } };
const record = Entry.encode({ ...numbers, timeMs: 1.7e12, content }).finish();

/** One channel of the house's logs under load. */
class Flow {
  log: Awaited<ReturnType<ChannelLogStore["open"]>> | undefined;
  settled = 0;
  onSettled: (count: number) => void = () => {};

  readonly events = {
    onSettled: (through: number) => {
      const count = through - this.settled;
      this.settled = through;
      this.onSettled(count);
    },
    onLost: (error: Error) => {
      throw error;
    },
  };
}

function onLogs(logs: ChannelLogStore, fence: ShardFence, counts: Way["counts"]): Way {
  const groups = new Map<string, Flow[]>();
  const claimed = new Set<number>();
  return {
    counts,
    async prepare({ group, channels }) {
      if (groups.has(group)) return;
      const flows = Array.from({ length: channels }, () => new Flow());
      groups.set(group, flows);
      for (let from = 0; from < channels; from += OPENING) {
        await Promise.all(
          flows.slice(from, from + OPENING).map(async (flow, at) => {
            const tenure: Tenure = { shard: (from + at) % SHARDS, epoch: 1 };
            if (!claimed.has(tenure.shard)) {
              claimed.add(tenure.shard);
              await fence.claim(tenure);
            } else await fence.verify(tenure);
            flow.log = await logs.open(`${way}-${group}${from + at}`, tenure, flow.events);
            flow.settled = flow.log.settled;
          }),
        );
      }
    },
    begin({ group, onTheirWay }, settled) {
      const flows = groups.get(group) ?? [];
      let flowing = true;
      let next = 0;
      let left = onTheirWay;
      let ended = () => {};
      const append = () => flows[next++ % flows.length]?.log?.append(record);
      for (const flow of flows) {
        flow.onSettled = (count) => {
          settled(count);
          if (flowing) for (let i = 0; i < count; i++) append();
          else {
            left -= count;
            if (left === 0) ended();
          }
        };
      }
      for (let i = 0; i < onTheirWay; i++) append();
      return () => {
        flowing = false;
        return new Promise((resolve) => {
          ended = resolve;
        });
      };
    },
  };
}

async function fenced(): Promise<Way> {
  const stores = await openCqlStores({
    ...ringAddress,
    owner: `appender#${process.pid}`,
    clusterName: "bench",
    shardCount: SHARDS,
    clock: systemClock,
  });
  return onLogs(stores.logs, stores.fence, () => {
    const { ring, failedCommits: failed } = stores.stats();
    return { ...(ring as RingStats), failed };
  });
}

async function unfenced(): Promise<Way> {
  const client = new CqlClient(
    await connect(ringAddress, keyspace, storageDefaults, silentLogger),
    storageDefaults,
    systemClock,
  );
  const store = createCqlQuorumStore(client, storageDefaults);
  const granted = {
    ...freeFence,
    holds: () => true,
    cover: (log: Covered) =>
      queueMicrotask(() => {
        log.covered(log.reading?.() ?? 0);
      }),
  };
  const logs = createFencedLogs({ store, fence: granted as unknown as QuorumFence, clock: systemClock });
  const counts = () => {
    const { writes: batches, rows: batchRows, failed } = store.written;
    return { batches, batchRows, verifyReads: 0, failed };
  };
  return onLogs(logs, freeFence, counts);
}

async function bare(): Promise<Way> {
  const ring = await openRing(contactPoints, keyspace, translate);
  const insert = "INSERT INTO messages (channel_id, bucket, message_id, record) VALUES (?, ?, ?, ?)";
  const { Long } = cassandra.types;
  const cell = Buffer.concat([Buffer.alloc(8), record]); // as long as the house's
  let inserts = 0;
  let failed = 0;
  let lastId = 0;
  return {
    prepare: async () => {},
    counts: () => ({ batches: inserts, batchRows: inserts, verifyReads: 0, failed }),
    begin({ group, channels, onTheirWay }, settled) {
      let flowing = true;
      let next = 0;
      const worker = async () => {
        while (flowing) {
          const channel = `${way}-${group}${next++ % channels}`;
          const id = ++lastId;
          const params = [channel, Math.floor(id / 1_000), Long.fromNumber(id), cell];
          // A ring that is short of a core answers some with a time-out, and the house would send those again, too.
          while (!(await ring.execute(insert, params).catch(() => undefined))) failed += 1;
          inserts += 1;
          settled(1);
        }
      };
      const workers = Array.from({ length: Math.min(IN_FLIGHT, onTheirWay) }, worker);
      return async () => {
        flowing = false;
        await Promise.all(workers);
      };
    },
  };
}

/** What is on its way at first is not counted, nor what is at the end. */
const SETTLE_MS = 300;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const ways: Readonly<Record<string, () => Promise<Way>>> = { fenced, unfenced, bare };
const chosen = await (ways[way] as () => Promise<Way>)();

async function run(order: AppendOrder): Promise<AppendRun> {
  await chosen.prepare(order);
  let kept = 0;
  const stop = chosen.begin(order, (count) => {
    kept += count;
  });
  await pause(SETTLE_MS);
  const before = { kept, atMs: performance.now(), cpu: process.cpuUsage(), ...chosen.counts() };
  await pause(order.forMs);
  const { user, system } = process.cpuUsage(before.cpu);
  const tookMs = performance.now() - before.atMs;
  const count = kept - before.kept;
  const now = chosen.counts();
  await stop();
  return {
    cpuUs: (user + system) / count,
    perSecond: (count * 1_000) / tookMs,
    together: (now.batchRows - before.batchRows) / (now.batches - before.batches),
    verifies: (now.verifyReads - before.verifyReads) / count,
    failed: now.failed - before.failed,
  };
}

beMeasured({}, () => {}, run);
