// Rows in LMDB: one environment, one named database a table. Key = partition, a zero byte, cluster.
//
// (M1) A commit is told when LMDB has synced the data and then the page that points to it. `overlappingSync`, which is
//      the package's default, would tell it before the sync; it is off. Proved by tools of the system rather than by the
//      documentation: under `strace -f -e trace=fdatasync,pwrite64,write`, a program that writes a line to stdout for
//      each kept row never writes it before the fdatasync, and the synchronous write of the meta page, have returned.
// (M2) The sync runs on a thread of the package: the event loop goes on meanwhile.

import { type Database, open, type RootDatabase } from "lmdb";
import type { Clock, Logger } from "../../runtime/index.ts";
import type { StorageSettings } from "../settings.ts";
import { GroupCommit } from "./commits.ts";
import { type KeyValue, PARTITION_END, type Row, type RowRange, type Table, tables, type Write } from "./port.ts";

export interface LmdbOptions {
  /** A file; LMDB puts a lock file beside it. */
  readonly path: string;
  readonly clock: Clock;
  readonly settings: StorageSettings;
  readonly log: Logger | undefined;
}

type Rows = Database<Buffer, Uint8Array>;

/** LMDB's own limit is 1,978 bytes; no partition and cluster of ours comes near. */
const KEY_BYTES_MAX = 1_024;

export function openLmdbKeyValue({ path, clock, settings, log }: LmdbOptions): KeyValue & { meta: RootDatabase } {
  const root = open({
    path,
    mapSize: settings.mapBytesMax,
    maxDbs: tables.length + 1,
    overlappingSync: false,
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

  /** In `scratch`: LMDB copies it. */
  const keyOf = (partition: string, cluster: Uint8Array) => scratch.subarray(0, writeKey(scratch, partition, cluster));

  const commits = new GroupCommit({
    clock,
    settings,
    log,
    async commit(writes: readonly Write[]) {
      // All puts of one turn of the event loop are one transaction, and the last one's promise is the transaction's.
      let committed: Promise<boolean> | undefined;
      for (const { table, partition, cluster, value } of writes) {
        const key = keyOf(partition, cluster);
        committed = value === undefined ? rows(table).remove(key) : rows(table).put(key, value as Buffer);
      }
      await committed;
    },
  });

  return {
    meta: root,
    get: (table, partition, cluster) => rows(table).getBinary(keyOf(partition, cluster)),
    range(table, partition, range) {
      return readRange(rows(table), partition, range);
    },
    put: (write) => commits.add(write),
    stats: () => commits.stats(),
    async close() {
      await commits.close();
      await root.close();
    },
  };
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
  // LMDB's end is excluded: the least key above `to`, or above all keys of the partition.
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
