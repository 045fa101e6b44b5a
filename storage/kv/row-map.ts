// Rows in memory, in order: a table of partitions, each a sorted list. A deleted row may stay as a mark, for a map that
// lies over another one.

import type { FramedWrite } from "./frames.ts";
import type { RowRange, Table } from "./port.ts";
import { ROW_OVERHEAD_BYTES, tables } from "./port.ts";

/** A value of undefined says that the row was deleted. */
export interface RowOrMark {
  readonly cluster: Uint8Array;
  readonly value: Uint8Array | undefined;
}

interface Partition {
  readonly rows: RowOrMark[];
  marks: number;
}

export class RowMap {
  readonly #keepMarks: boolean;
  readonly #tables = new Map<Table, Map<string, Partition>>(tables.map((table) => [table, new Map()]));
  /** About what the map takes in memory. */
  bytes = 0;

  constructor(keepMarks: boolean) {
    this.#keepMarks = keepMarks;
  }

  put({ table, partition, cluster, value }: FramedWrite): void {
    const partitions = this.#tables.get(table) as Map<string, Partition>;
    let found = partitions.get(partition);
    if (found === undefined) {
      found = { rows: [], marks: 0 };
      partitions.set(partition, found);
    }
    const { rows } = found;
    const at = firstFrom(rows, cluster);
    const there = rows[at];
    const replaces = there !== undefined && same(there.cluster, cluster);
    if (replaces) {
      this.bytes -= bytesOf(there);
      if (there.value === undefined) found.marks -= 1;
    }
    if (value === undefined && !this.#keepMarks) {
      if (replaces) rows.splice(at, 1);
      if (rows.length === 0) partitions.delete(partition);
      return;
    }
    const row = { cluster, value };
    this.bytes += bytesOf(row);
    if (value === undefined) found.marks += 1;
    if (replaces) rows[at] = row;
    else if (at === rows.length) rows.push(row);
    else rows.splice(at, 0, row);
  }

  get(table: Table, partition: string, cluster: Uint8Array): RowOrMark | undefined {
    const rows = this.#tables.get(table)?.get(partition)?.rows;
    if (rows === undefined) return undefined;
    const row = rows[firstFrom(rows, cluster)];
    return row !== undefined && same(row.cluster, cluster) ? row : undefined;
  }

  /** Deletions of a partition that are marked here: so many rows of a map below may not count. */
  marks(table: Table, partition: string): number {
    return this.#tables.get(table)?.get(partition)?.marks ?? 0;
  }

  range(table: Table, partition: string, range: RowRange): RowOrMark[] {
    const rows = this.#tables.get(table)?.get(partition)?.rows;
    return rows === undefined ? [] : slice(rows, range);
  }

  /** All rows, table by table, partitions in their order: what a B-tree takes fastest. */
  *all(): Iterable<FramedWrite> {
    for (const [table, partitions] of this.#tables) {
      for (const partition of [...partitions.keys()].sort()) {
        for (const row of partitions.get(partition)?.rows ?? []) yield { table, partition, ...row };
      }
    }
  }
}

function bytesOf(row: RowOrMark): number {
  return ROW_OVERHEAD_BYTES + (row.value?.byteLength ?? 0);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Index of the first row at or above `cluster`; most writes go to the end, so that is looked at first. */
function firstFrom(rows: readonly RowOrMark[], cluster: Uint8Array): number {
  const last = rows[rows.length - 1];
  if (last === undefined || Buffer.compare(last.cluster, cluster) < 0) return rows.length;
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare((rows[middle] as RowOrMark).cluster, cluster) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function slice(rows: readonly RowOrMark[], range: RowRange): RowOrMark[] {
  const first = range.from === undefined ? 0 : firstFrom(rows, range.from);
  let end = rows.length;
  if (range.to !== undefined) {
    end = firstFrom(rows, range.to);
    const last = rows[end];
    if (last !== undefined && same(last.cluster, range.to)) end += 1;
  }
  const taken: RowOrMark[] = [];
  let bytes = 0;
  for (let i = 0; i < end - first; i++) {
    if (taken.length >= (range.rowsMax ?? Infinity) || bytes >= (range.bytesMax ?? Infinity)) break;
    const row = rows[range.descending ? end - 1 - i : first + i] as RowOrMark;
    bytes += row.value?.byteLength ?? 0;
    taken.push(row);
  }
  return taken;
}
