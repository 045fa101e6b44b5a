// The channel log on a store with replicas, under the fence: FENCE rules 2 to 7, rule by rule.
//
// (L1)–(L4) of port.ts, and
// (L5) What an older owner has in flight is below the tombstone, or under a copy, of the first batch of this tenure.
// (L6) A batch lies in one bucket. One that starts a bucket leaves when all below is settled, with a tombstone of its own.

import {
  assert,
  type Clock,
  type Logger,
  runtimeErrors,
  silentLogger,
  stamp,
  type Tenure,
} from "../../runtime/index.ts";
import { type Insistence, insist, insistAfter } from "../fence/insist.ts";
import { shardLost } from "../fence/local.ts";
import type { Mutations } from "../fence/mutations.ts";
import type { CellBatch, CellRow, QuorumStore } from "../fence/port.ts";
import type { QuorumFence } from "../fence/quorum.ts";
import type { Covered } from "../fence/verifier.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import { cellOf, identityOf, recordOf } from "./cell.ts";
import {
  BUCKET_ROWS,
  bucketOf,
  type ChannelLog,
  type ChannelLogStore,
  type LogEvents,
  type LogRange,
  type LogRow,
  noHint,
} from "./port.ts";
import { type FoundTail, findTail } from "./tail.ts";

export interface FencedLogOptions extends Mutations {
  readonly store: QuorumStore;
  readonly fence: QuorumFence;
  readonly clock: Clock;
  readonly settings?: StorageSettings;
  readonly log?: Logger;
  /** What makes two records the same send; by default producer and number of the Entry. */
  readonly identityOf?: (record: Uint8Array) => string | undefined;
  /** Rows a bucket; fewer in a simulation, so that it meets the borders. Never changed where data is kept. */
  readonly bucketRows?: number;
}

interface Parts extends FencedLogOptions {
  readonly settings: StorageSettings;
  readonly bucketRows: number;
  readonly insistence: Insistence;
}

export function createFencedLogs(options: FencedLogOptions): ChannelLogStore {
  const { store, fence, clock, settings = storageDefaults, log = silentLogger, leaveOut } = options;
  const bucketRows = options.bucketRows ?? BUCKET_ROWS;
  const insistence = { clock, settings, log };
  const parts: Parts = { ...options, settings, bucketRows, insistence };
  const openLogs = new Map<number, Set<FencedLog>>();
  fence.onLost((tenure, highestEpoch) => {
    for (const open of [...(openLogs.get(tenure.shard) ?? [])]) open.lose(tenure, highestEpoch);
  });

  return {
    async open(channelId, tenure, events, hint = noHint) {
      const find = () =>
        findTail({
          store,
          channelId,
          tenure,
          hint,
          bucketRows,
          leaveOut,
          identityOf: options.identityOf ?? identityOf,
        });
      const found = await insist(insistence, find, () => fence.holds(tenure));
      if (found !== undefined && "higherEpoch" in found) fence.lose(tenure, found.higherEpoch);
      if (found === undefined || "higherEpoch" in found || !fence.holds(tenure)) throw shardLost(tenure, tenure.epoch);
      const logs = openLogs.get(tenure.shard) ?? new Set();
      openLogs.set(tenure.shard, logs);
      const opened = new FencedLog(parts, channelId, tenure, events, found, (closed) => void logs.delete(closed));
      logs.add(opened);
      return opened;
    },
    read: (channelId, range) => readRows(parts, channelId, range),
  };
}

/** Replaced by whoever has something that waits. */
const nothingWaits: Uint8Array[] = [];

class FencedLog implements ChannelLog, Covered {
  readonly #parts: Parts;
  readonly #channelId: string;
  readonly #tenure: Tenure;
  readonly #events: LogEvents;
  /** The tail that was found. */
  readonly #foundTail: number;
  /** The newest rows as they were found, for the replay that follows. */
  #foundRows: readonly CellRow[];
  readonly #closed: (log: FencedLog) => void;
  #phase: "open" | "lost" | "closed" = "open";
  /** Rows that were adopted and not written again yet; empty after the first batch. */
  #copies: readonly CellRow[];
  /** True until the first batch of this tenure has been sent. */
  #first: boolean;
  #waiting: Uint8Array[] = nothingWaits;
  #waitingBytes = 0;
  asked = false;
  #inFlight = false;
  /** Highest id that stands, of an older owner too: the next batch is above it. */
  #completed: number;
  /** Highest id that a verify may cover: of a completed batch of this tenure, copies among it, or settled when it was found. */
  #coverable: number;
  #settled: number;
  #tail: number;
  #settling: { readonly promise: Promise<void>; resolve(): void; reject(error: Error): void } | undefined;

  constructor(
    parts: Parts,
    channelId: string,
    tenure: Tenure,
    events: LogEvents,
    found: FoundTail,
    closed: (log: FencedLog) => void,
  ) {
    this.#parts = parts;
    this.#channelId = channelId;
    this.#tenure = tenure;
    this.#events = events;
    this.#foundTail = found.tail;
    this.#foundRows = found.rows;
    this.#closed = closed;
    this.#copies = found.rows.filter(({ id }) => id > found.settled);
    this.#first = !found.mine;
    this.#tail = found.tail;
    this.#completed = found.tail;
    this.#coverable = found.settled;
    this.#settled = found.settled;
  }

  get tail(): number {
    return this.#tail;
  }
  get settled(): number {
    return this.#settled;
  }
  get busy(): boolean {
    return this.#phase === "open" && (this.#inFlight || this.#waiting.length > 0 || this.#coverable > this.#settled);
  }
  /** Rows of older owners stand above what is settled, and nothing was written yet. */
  get #adopting(): boolean {
    return this.#first && this.#foundTail > this.#settled;
  }

  append(record: Uint8Array): number {
    if (this.#phase === "lost") throw shardLost(this.#tenure, this.#tenure.epoch);
    assert(this.#phase === "open", "nothing is appended to a closed log");
    if (this.#waitingBytes + record.byteLength > this.#parts.settings.logWaitingBytesMax) {
      throw runtimeErrors.OVERLOADED({
        message: "More of this channel waits for the store than memory is set aside for.",
        retryAfterMs: this.#parts.settings.retryPauseMaxMs,
      });
    }
    // One alone is the rule, and a list that grew by push() has room for sixteen more.
    if (this.#waiting.length === 0) this.#waiting = [record];
    else this.#waiting.push(record);
    this.#waitingBytes += record.byteLength;
    this.#tail += 1;
    this.#pump();
    return this.#tail;
  }

  settleAdopted(): Promise<void> {
    if (this.#phase === "lost") return Promise.reject(shardLost(this.#tenure, this.#tenure.epoch));
    if (this.#settled >= this.#foundTail) return Promise.resolve();
    if (this.#settling === undefined) {
      this.#settling = newSettling();
      this.#pump();
    }
    return this.#settling.promise;
  }

  // ---- batches (rules 3 and 5)

  #pump(): void {
    if (this.#phase !== "open" || this.#inFlight) return;
    const { leaveOut, bucketRows } = this.#parts;
    const wanted = this.#waiting.length > 0 || (this.#adopting && this.#settling !== undefined);
    if (!wanted) return;
    if (leaveOut === "copies" && this.#copies.length > 0) {
      // Adopted rows count as the log once a verify has looked, as the first draft of the protocol had it.
      this.#copies = [];
      this.#coverable = this.#completed;
      this.#parts.fence.cover(this);
      return;
    }
    const startsBucket = this.#completed % bucketRows === 0;
    if (this.#copies.length > 0) {
      const above = leaveOut === "tombstone" ? undefined : this.#settled;
      return this.#send(above, this.#copies, startsBucket ? 0 : bucketRows);
    }
    if (startsBucket && this.#settled < this.#completed && leaveOut !== "bucketBarrier") return;
    const lays = this.#first ? leaveOut !== "tombstone" : startsBucket && leaveOut !== "bucketTombstone";
    this.#send(lays ? this.#completed : undefined, [], bucketRows);
  }

  /** One batch: a tombstone above `above`, copies, and so many of the waiting records as a batch may hold. */
  #send(above: number | undefined, copies: readonly CellRow[], rowsMax: number): void {
    const { settings, bucketRows, leaveOut } = this.#parts;
    const { epoch } = this.#tenure;
    const room = Math.min(rowsMax, settings.batchRowsMax, bucketRows - (this.#completed % bucketRows));
    const records = this.#take(rowsMax === 0 ? 0 : room);
    const fresh = records.map((record, i) => ({ id: this.#completed + 1 + i, cell: cellOf(this.#settled, record) }));
    const rows = copies.length === 0 ? fresh : [...copies.map(({ id, cell }) => ({ id, cell })), ...fresh];
    const through = rows.at(-1)?.id ?? this.#completed;
    const tombstone = above === undefined ? undefined : { above, timestamp: stamp(epoch, 0) };
    const timestamp = stamp(epoch, leaveOut === "rowsAboveTombstones" ? 0 : 1);
    const bucket = bucketOf(through, bucketRows);
    const batch: CellBatch = { channelId: this.#channelId, bucket, tombstone, rows, timestamp };
    this.#first = false;
    this.#copies = [];
    this.#inFlight = true;
    // Most writes succeed, and cost no more than this.
    this.#parts.store.writeCells(batch).then(
      () => this.#written(through),
      (error) => this.#notWritten(error, batch, through),
    );
  }

  #written(through: number): void {
    this.#inFlight = false;
    if (this.#phase !== "open") return;
    this.#completed = through;
    this.#coverable = through;
    this.#parts.fence.cover(this);
    this.#pump();
  }

  /** Of unknown outcome: the same again, until it succeeds or the tenure is over. */
  async #notWritten(error: unknown, batch: CellBatch, through: number): Promise<void> {
    const { insistence, store, fence, leaveOut } = this.#parts;
    let again = batch;
    const failed = () => {
      // A loss shows itself only to a verify; without one, a dead owner would try for ever.
      fence.cover(this);
      if (leaveOut === "sameBytes") again = { ...again, rows: withOtherContents(again.rows) };
    };
    const attempt = () => store.writeCells(again);
    await insistAfter(error, insistence, attempt, () => this.#phase === "open", failed);
    this.#written(through);
  }

  #take(rowsMax: number): Uint8Array[] {
    const { batchBytesMax } = this.#parts.settings;
    let bytes = 0;
    let count = 0;
    while (count < rowsMax) {
      const next = this.#waiting[count];
      if (next === undefined || (count > 0 && bytes + next.byteLength > batchBytesMax)) break;
      bytes += next.byteLength;
      count += 1;
    }
    this.#waitingBytes -= bytes;
    if (count < this.#waiting.length) return this.#waiting.splice(0, count);
    const all = this.#waiting;
    this.#waiting = nothingWaits;
    return all;
  }

  // ---- verify (rule 4)

  get shard(): number {
    return this.#tenure.shard;
  }

  reading(): number {
    return this.#coverable;
  }

  covered(through: number): void {
    if (this.#phase !== "open" || through <= this.#settled) return;
    if (!this.#parts.fence.holds(this.#tenure)) return; // lose() has been or will be called
    this.#settled = through;
    if (through >= this.#foundTail) {
      this.#settling?.resolve();
      this.#settling = undefined;
    }
    this.#pump();
    this.#events.onSettled(through);
  }

  // ---- the rest

  async *replay(from: number): AsyncIterable<LogRow> {
    const { replayRowsMax: rowsMax, replayBytesMax: bytesMax } = this.#parts.settings;
    const found = this.#foundRows;
    const below = found[0]?.id ?? this.#foundTail + 1;
    let next = Math.max(from, 1);
    while (next < below) {
      const rows = await readRows(this.#parts, this.#channelId, { from: next, to: below - 1, rowsMax, bytesMax });
      yield* rows;
      const last = rows.at(-1);
      assert(last !== undefined, "a log has no holes below what is settled");
      next = last.id + 1;
    }
    for (const { id, cell } of found) if (id >= next) yield { id, record: recordOf(cell) };
    this.#foundRows = found.filter(({ id }) => id > this.#settled); // the others are read again where somebody wants them
  }

  lose(tenure: Tenure, highestEpoch: number): void {
    if (this.#phase !== "open" || this.#tenure.epoch !== tenure.epoch) return;
    this.#phase = "lost";
    this.#waiting = nothingWaits;
    this.#waitingBytes = 0;
    this.#closed(this);
    const error = shardLost(tenure, highestEpoch);
    this.#settling?.reject(error);
    queueMicrotask(() => this.#events.onLost(error));
  }

  close(): void {
    assert(!this.busy || this.#parts.leaveOut === "finishBatches", "a log with a batch in flight is not closed");
    this.#phase = "closed";
    this.#closed(this);
  }
}

/** Rows asked for at once: a page of history is one or two reads, and a few large rows are not read behind sixty more. */
const SLICE_ROWS = 64;

/** Tries again a few times; then it is for the caller to come back. Ids are dense, so rows are asked for by their ids. */
async function readRows(parts: Parts, channelId: string, range: LogRange): Promise<LogRow[]> {
  const { bucketRows } = parts;
  const from = Math.max(range.from, 1);
  const taken: LogRow[] = [];
  let bytes = 0;
  const step = range.newestFirst === true ? -1 : 1;
  let next = step === 1 ? from : range.to;
  while (from <= next && next <= range.to && taken.length < range.rowsMax) {
    const bucket = bucketOf(next, bucketRows);
    const count = Math.min(SLICE_ROWS, range.rowsMax - taken.length);
    const low = step === 1 ? next : Math.max(from, bucket * bucketRows + 1, next - count + 1);
    const high = step === 1 ? Math.min(range.to, (bucket + 1) * bucketRows, next + count - 1) : next;
    const cells = await readBucket(parts, channelId, bucket, low, high);
    if (step === -1) cells.reverse();
    for (const { id, cell } of cells) {
      const record = recordOf(cell);
      bytes += record.byteLength;
      taken.push({ id, record });
      if (taken.length >= range.rowsMax || bytes >= range.bytesMax) return taken;
    }
    if (step === 1 && cells.length <= high - low) break; // nothing comes after the first id that is missing
    next = step === 1 ? high + 1 : low - 1;
  }
  return taken;
}

async function readBucket(
  parts: Parts,
  channelId: string,
  bucket: number,
  from: number,
  to: number,
): Promise<CellRow[]> {
  const { store, settings, insistence } = parts;
  let cause: unknown;
  let attempts = 0;
  const attempt = () => {
    attempts += 1;
    return store.readCells(channelId, bucket, from, to).catch((error: unknown) => {
      cause = error;
      throw error;
    });
  };
  const cells = await insist(insistence, attempt, () => attempts < settings.readAttemptsMax);
  if (cells === undefined) throw runtimeErrors.UNAVAILABLE({ message: "The store did not answer.", cause });
  return cells;
}

function newSettling() {
  let resolve = () => {};
  let reject = (_error: Error) => {};
  const promise = new Promise<void>((kept, failed) => {
    resolve = kept;
    reject = failed;
  });
  return { promise, resolve, reject };
}

/** For the mutation only: the same ids with each other's records. */
function withOtherContents(rows: CellBatch["rows"]): CellBatch["rows"] {
  return rows.map(({ id }, i) => ({ id, cell: (rows[rows.length - 1 - i] as { cell: Uint8Array }).cell }));
}
