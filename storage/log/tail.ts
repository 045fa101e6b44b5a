// Where a log ends, as a new owner reads it (FENCE rule 2). Pure but for the reads.

import { stamp, type Tenure } from "../../runtime/index.ts";
import type { Rule } from "../fence/mutations.ts";
import type { CellRow, QuorumStore } from "../fence/port.ts";
import { recordOf, settledMark } from "./cell.ts";
import { bucketOf, type LogHint } from "./port.ts";

export interface FoundTail {
  /** The last id before the first gap, and before a (producer, number) that stands lower already. */
  readonly tail: number;
  readonly settled: number;
  /** What was read, exactly: the rows up to the tail, of its bucket at least. */
  readonly rows: readonly CellRow[];
  /** True when this tenure wrote the tail: then its first append is behind it. */
  readonly mine: boolean;
}

export interface TailOptions {
  readonly store: QuorumStore;
  readonly channelId: string;
  readonly tenure: Tenure;
  readonly hint: LogHint;
  readonly bucketRows: number;
  readonly identityOf: (record: Uint8Array) => string | undefined;
  readonly leaveOut: Rule | undefined;
}

/** Resolves to a higher epoch when one was met: the tenure is lost. */
export async function findTail(options: TailOptions): Promise<FoundTail | { readonly higherEpoch: number }> {
  const { tenure, hint, leaveOut } = options;
  const { start, cells } = await readCells(options);
  const higherEpoch = Math.max(0, ...cells.map((row) => epochOf(row.writetime)));
  if (higherEpoch > tenure.epoch && leaveOut !== "higherRowIsLost") return { higherEpoch };
  const rows = standing(start, cells, options);
  const tail = start + rows.length - 1;
  const last = rows.at(-1);
  if (last === undefined) return { tail, settled: tail, rows, mine: false };
  const mine = epochOf(last.writetime) === tenure.epoch;
  const settled = mine ? tail : Math.min(tail, Math.max(settledMark(last.cell), hint.settled));
  return { tail, settled, rows, mine };
}

/**
 * From the first row that is wanted upwards, as long as buckets are full. What is below it in its bucket is settled and stands, and
 * is read only if something that is not known to be settled might repeat it.
 */
async function readCells(options: TailOptions): Promise<{ readonly start: number; readonly cells: CellRow[] }> {
  const { store, channelId, hint, bucketRows } = options;
  const start = Math.max(1, Math.min(hint.settled, hint.replayFrom));
  const bucketStart = bucketOf(start, bucketRows) * bucketRows + 1;
  const cells: CellRow[] = [];
  for (let next = start; ; ) {
    const bucket = bucketOf(next, bucketRows);
    const through = (bucket + 1) * bucketRows;
    const found = await store.readCells(channelId, bucket, next, through);
    cells.push(...found);
    if (found.length <= through - next) break; // a gap
    next = through + 1;
  }
  const allSettled = cells.at(-1)?.id === hint.settled && cells.length === hint.settled - start + 1;
  if (start === bucketStart || allSettled) return { start, cells };
  const below = await store.readCells(channelId, bucketOf(start, bucketRows), bucketStart, start - 1);
  return { start: bucketStart, cells: [...below, ...cells] };
}

/** Those of the cells, which ascend, that are the log: up to the first gap, or to a send that stands lower already. */
function standing(start: number, cells: readonly CellRow[], { identityOf, leaveOut }: TailOptions): CellRow[] {
  const rows: CellRow[] = [];
  const identities = new Set<string>();
  for (const row of cells) {
    if (row.id !== start + rows.length) break;
    const identity = identityOf(recordOf(row.cell));
    if (identity !== undefined && identities.has(identity) && leaveOut !== "stopAtRepeated") break;
    if (identity !== undefined) identities.add(identity);
    rows.push(row);
  }
  return rows;
}

function epochOf(writetime: number): number {
  return Math.floor(writetime / stamp(1, 0));
}
