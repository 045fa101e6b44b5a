// Rows in LMDB: one environment, one named database a table. Key = partition, a zero byte, cluster.
//
// (M1) apply() resolves when LMDB has synced the data and then the page that points to it. `overlappingSync`, which is the
//      package's default, would resolve it before the sync; it is off.
// (M2) The sync runs on a thread of the package: the event loop goes on meanwhile.

import { type Database, open, type RootDatabase } from "lmdb";
import type { FramedWrite } from "./frames.ts";
import { PARTITION_END, type Row, type RowRange, type Table, tables } from "./port.ts";

export interface LmdbRows {
  /** For what is not a row: versions. */
  readonly meta: RootDatabase;
  get(table: Table, partition: string, cluster: Uint8Array): Uint8Array | undefined;
  range(table: Table, partition: string, range: RowRange): Row[];
  /** All or nothing, in one transaction. */
  apply(writes: readonly FramedWrite[]): Promise<void>;
  close(): Promise<void>;
}

type Rows = Database<Buffer, Uint8Array>;

/** LMDB's own limit is 1,978 bytes; no partition and cluster of ours comes near. */
const KEY_BYTES_MAX = 1_024;

export function openLmdbRows(path: string, mapBytesMax: number): LmdbRows {
  const root = open({
    path,
    mapSize: mapBytesMax,
    maxDbs: tables.length + 1,
    overlappingSync: false,
    eventTurnBatching: false, // writes are grouped by whoever calls apply()
    noMemInit: true,
  });
  const databases = new Map<Table, Rows>(
    tables.map((table) => [
      table,
      root.openDB<Buffer, Uint8Array>(table, { keyEncoding: "binary", encoding: "binary" }),
    ]),
  );
  const rows = (table: Table) => databases.get(table) as Rows;
  const scratch = Buffer.allocUnsafe(KEY_BYTES_MAX);
  /** In `scratch`, which LMDB copies. */
  const keyOf = (partition: string, cluster: Uint8Array) => scratch.subarray(0, writeKey(scratch, partition, cluster));

  return {
    meta: root,
    get: (table, partition, cluster) => rows(table).getBinary(keyOf(partition, cluster)),
    range: (table, partition, range) => readRange(rows(table), partition, range),
    async apply(writes) {
      try {
        // Within a batch the puts have no promises of their own, which would go unhandled when the batch fails.
        await root.batch(() => {
          for (const { table, partition, cluster, value } of writes) {
            const key = keyOf(partition, cluster);
            if (value === undefined) rows(table).remove(key);
            else rows(table).put(key, value as Buffer);
          }
        });
      } catch (error) {
        throw await reasonOf(error);
      }
    },
    close: () => root.close(),
  };
}

/** A failed batch rejects with an error whose `commitError` is a promise that rejects with what LMDB said. */
async function reasonOf(error: unknown): Promise<unknown> {
  try {
    await (error as { readonly commitError?: Promise<unknown> }).commitError;
  } catch (reason) {
    return reason;
  }
  return error;
}

function writeKey(into: Buffer, partition: string, cluster: Uint8Array): number {
  const end = into.write(partition, 0);
  into[end] = PARTITION_END;
  into.set(cluster, end + 1);
  return end + 1 + cluster.byteLength;
}

function newKey(partition: string, cluster: Uint8Array, after: 0 | 1): Buffer {
  const key = Buffer.alloc(Buffer.byteLength(partition) + 1 + cluster.byteLength + after);
  writeKey(key, partition, cluster);
  return key;
}

const nothing = new Uint8Array(0);

function readRange(rows: Rows, partition: string, range: RowRange): Row[] {
  const prefixBytes = Buffer.byteLength(partition) + 1;
  const first = newKey(partition, range.from ?? nothing, 0);
  // The end is excluded: the least key above `to`, or above all keys of the partition.
  const end = newKey(partition, range.to ?? nothing, range.to === undefined ? 0 : 1);
  if (range.to === undefined) end[prefixBytes - 1] = PARTITION_END + 1;
  const bounds = range.descending
    ? { start: end, exclusiveStart: true, end: first, inclusiveEnd: true, reverse: true }
    : { start: first, end };
  const limit = range.rowsMax === undefined ? {} : { limit: range.rowsMax };
  const taken: Row[] = [];
  let bytes = 0;
  for (const { key, value } of rows.getRange({ ...bounds, ...limit })) {
    taken.push({ cluster: Buffer.from(key).subarray(prefixBytes), value });
    bytes += value.byteLength;
    if (bytes >= (range.bytesMax ?? Infinity)) break;
  }
  return taken;
}
