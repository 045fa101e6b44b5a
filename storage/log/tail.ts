// Where a log ends, as a new owner reads it (FENCE rule 2). Pure but for the reads.

import { stamp, type Tenure } from "../../runtime/index.ts";
import type { Rule } from "../fence/mutations.ts";
import type { CellRow, QuorumStore } from "../fence/port.ts";
import { recordOf, settledMark } from "./cell.ts";
import { bucketOf } from "./port.ts";

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
  readonly hint: number;
  readonly bucketRows: number;
  readonly identityOf: (record: Uint8Array) => string | undefined;
  readonly leaveOut: Rule | undefined;
}

/** Resolves to a higher epoch when one was met: the tenure is lost. */
export async function findTail(options: TailOptions): Promise<FoundTail | { readonly higherEpoch: number }> {
  const { store, channelId, tenure, hint, bucketRows, leaveOut } = options;
  const rows: CellRow[] = [];
  const identities = new Set<string>();
  let bucket = bucketOf(Math.max(hint, 1), bucketRows);
  let next = bucket * bucketRows + 1;
  for (let ended = false; !ended; bucket++) {
    const cells = await store.readCells(channelId, bucket, next, (bucket + 1) * bucketRows);
    const higherEpoch = Math.max(0, ...cells.map((row) => epochOf(row.writetime)));
    if (higherEpoch > tenure.epoch && leaveOut !== "higherRowIsLost") return { higherEpoch };
    for (const row of cells) {
      const identity = options.identityOf(recordOf(row.cell));
      const repeated = identity !== undefined && identities.has(identity) && leaveOut !== "stopAtRepeated";
      if (row.id !== next || repeated) {
        ended = true;
        break;
      }
      if (identity !== undefined) identities.add(identity);
      rows.push(row);
      next += 1;
    }
    if (next <= (bucket + 1) * bucketRows) ended = true;
  }
  const last = rows.at(-1);
  const tail = next - 1;
  if (last === undefined) return { tail, settled: tail, rows, mine: false };
  const mine = epochOf(last.writetime) === tenure.epoch;
  const settled = mine ? tail : Math.min(tail, Math.max(settledMark(last.cell), hint));
  return { tail, settled, rows, mine };
}

function epochOf(writetime: number): number {
  return Math.floor(writetime / stamp(1, 0));
}
