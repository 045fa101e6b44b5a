// Rows on one disk: durable by a journal, held in memory until they lie in LMDB, read through all three.
//
// A put into LMDB rewrites a page of 4 KB for a row of 200 bytes and syncs twice a commit. So a commit is one sequential
// write instead, and rows go to LMDB later, many at once and in the order of their keys: rows of one channel fall into one
// page, and of a pointer that was written ten times only the last one goes.
//
// (J4) What is newer lies above: recent over sinking over LMDB. A deletion in a layer hides the layers below.
// (J5) A segment of the journal is deleted only after a synced transaction of LMDB has all its rows. To apply a segment
//      twice changes nothing.
// (J6) One segment sinks at a time. When sinking cannot keep up or fails, memory fills up to heldBytesMax; then put()
//      throws OVERLOADED.

import { type Clock, type Logger, pause, type Timer } from "../../runtime/index.ts";
import type { StorageSettings } from "../settings.ts";
import { GroupCommit } from "./commits.ts";
import { type FramedWrite, FrameWriter, HEAD_BYTES, readFrames } from "./frames.ts";
import { Journal } from "./journal.ts";
import type { LmdbRows } from "./lmdb.ts";
import type { KeyValue, Row, RowRange, Table, Write } from "./port.ts";
import { RowMap, type RowOrMark } from "./row-map.ts";

export interface JournaledOptions {
  /** Where the segments lie. */
  readonly folder: string;
  readonly base: LmdbRows;
  readonly clock: Clock;
  readonly settings: StorageSettings;
  readonly log: Logger;
}

/** Reads what the journal holds, and goes on from there. Closes `base` when it is closed. */
export async function openJournaledKeyValue(options: JournaledOptions): Promise<KeyValue> {
  const { journal, found } = await Journal.open(options.folder, options.settings.checkpointBytes);
  const rows = new JournaledRows(options, journal);
  await rows.recover(found);
  return rows;
}

class JournaledRows implements KeyValue {
  readonly #options: JournaledOptions;
  readonly #journal: Journal;
  readonly #frames = new FrameWriter();
  readonly #commits: GroupCommit;
  #recent = new RowMap(true);
  /** What is on its way to LMDB; its rows stay readable until they are there. */
  #sinking: { readonly rows: RowMap; readonly done: Promise<void> } | undefined;
  #closing = false;
  #aging: Timer | undefined;
  #old = false;

  constructor(options: JournaledOptions, journal: Journal) {
    this.#options = options;
    this.#journal = journal;
    const { clock, settings, log } = options;
    const heldBytes = () => this.#recent.bytes + (this.#sinking?.rows.bytes ?? 0);
    this.#commits = new GroupCommit({ clock, settings, log, heldBytes, commit: (writes) => this.#commit(writes) });
  }

  async recover(segments: readonly number[]): Promise<void> {
    if (segments.length === 0) return;
    for (const segment of segments) {
      const bytes = await this.#journal.read(segment);
      const whole = readFrames(bytes, (write) => this.#recent.put(write));
      // Zeros are what a segment is filled with before it is used.
      if (bytes.subarray(whole, whole + HEAD_BYTES).some((byte) => byte !== 0))
        this.#options.log.warn({ segment, at: whole }, "a commit was cut off; nobody was told it was kept");
    }
    this.#sink(segments);
  }

  async #commit(writes: readonly Write[]): Promise<void> {
    // Faster than rows can sink: commits slow down to that pace, rather than fill memory until writes are refused.
    if (this.#recent.bytes >= this.#options.settings.checkpointBytes) await this.#sinking?.done;
    if (writes.length > 0) await this.#journal.append(this.#frames.write(writes));
    for (const write of writes) this.#recent.put(write);
    if (this.#recent.bytes >= this.#options.settings.checkpointBytes || this.#old) await this.#rotate();
    else if (this.#aging === undefined && writes.length > 0) this.#age();
  }

  /** What lies in the journal for long goes to LMDB too: memory is freed, and a start has less to read. */
  #age(): void {
    const { clock, settings } = this.#options;
    this.#aging = clock.after(settings.checkpointAfterMs, () => {
      this.#old = true;
      this.#commits.nudge();
    });
  }

  /** Between two commits. What was committed is kept, whether this succeeds or not. */
  async #rotate(): Promise<void> {
    if (this.#sinking !== undefined || this.#closing) return;
    const { clock, log, settings } = this.#options;
    try {
      this.#sink([await this.#journal.rotate()]);
    } catch (error) {
      log.error({ error, retryAfterMs: settings.retryPauseMaxMs }, "no new segment of the journal could be made");
      clock.after(settings.retryPauseMaxMs, () => this.#commits.nudge());
    }
  }

  #sink(segments: readonly number[]): void {
    this.#aging?.cancel();
    this.#aging = undefined;
    this.#old = false;
    const rows = this.#recent;
    this.#recent = new RowMap(true);
    const done = this.#apply(rows, segments).then((applied) => {
      if (!applied) return;
      this.#sinking = undefined;
      this.#commits.nudge(); // memory may be full of what came meanwhile: then no write would start the next segment
    });
    this.#sinking = { rows, done };
  }

  /** False when the store was closed before it was done: the segments stay, and are read at the next start. */
  async #apply(rows: RowMap, segments: readonly number[]): Promise<boolean> {
    const { base, clock, log, settings } = this.#options;
    let slice: FramedWrite[] = [];
    const flush = async () => {
      let pauseMs = settings.retryPauseMs;
      while (!this.#closing) {
        try {
          await base.apply(slice);
          slice = [];
          return;
        } catch (error) {
          log.error({ error, retryAfterMs: pauseMs }, "rows could not be moved from the journal to LMDB");
        }
        await pause(clock, pauseMs);
        pauseMs = Math.min(pauseMs * 2, settings.retryPauseMaxMs);
      }
    };
    for (const write of rows.all()) {
      slice.push(write);
      if (slice.length >= settings.checkpointWritesMax) await flush();
      if (this.#closing) return false;
    }
    await flush();
    if (this.#closing) return false;
    for (const segment of segments) await this.#journal.remove(segment);
    return true;
  }

  get(table: Table, partition: string, cluster: Uint8Array): Uint8Array | undefined {
    const held = this.#recent.get(table, partition, cluster) ?? this.#sinking?.rows.get(table, partition, cluster);
    return held === undefined ? this.#options.base.get(table, partition, cluster) : held.value;
  }

  range(table: Table, partition: string, range: RowRange): Row[] {
    const layers = [this.#recent, ...(this.#sinking === undefined ? [] : [this.#sinking.rows])];
    let hidden = 0;
    for (const layer of layers) hidden += layer.marks(table, partition);
    // Each layer may have to give all rows that are asked for, and one more for each that is deleted above it.
    const wider = range.rowsMax === undefined ? range : { ...range, rowsMax: range.rowsMax + hidden };
    const found: RowOrMark[][] = layers.map((layer) => layer.range(table, partition, wider));
    found.push(this.#options.base.range(table, partition, wider));
    return merge(found, range);
  }

  put(write: Write): void {
    this.#commits.add(write);
  }

  stats() {
    return this.#commits.stats();
  }

  async close(): Promise<void> {
    this.#closing = true; // first, for a commit may wait for rows to sink
    this.#aging?.cancel();
    await this.#commits.close();
    await this.#sinking?.done;
    await this.#journal.close();
    await this.#options.base.close();
  }
}

/** One list out of sorted ones; of equal clusters the row of the first list counts. */
function merge(lists: readonly (readonly RowOrMark[])[], range: RowRange): Row[] {
  const sign = range.descending ? -1 : 1;
  const at = lists.map(() => 0);
  const taken: Row[] = [];
  let bytes = 0;
  while (taken.length < (range.rowsMax ?? Infinity) && bytes < (range.bytesMax ?? Infinity)) {
    let next: RowOrMark | undefined;
    for (let i = 0; i < lists.length; i++) {
      const row = lists[i]?.[at[i] as number];
      if (row !== undefined && (next === undefined || sign * Buffer.compare(row.cluster, next.cluster) < 0)) next = row;
    }
    if (next === undefined) break;
    for (let i = 0; i < lists.length; i++) {
      const row = lists[i]?.[at[i] as number];
      if (row !== undefined && Buffer.compare(row.cluster, next.cluster) === 0) at[i] = (at[i] as number) + 1;
    }
    if (next.value === undefined) continue;
    taken.push({ cluster: next.cluster, value: next.value });
    bytes += next.value.byteLength;
  }
  return taken;
}
