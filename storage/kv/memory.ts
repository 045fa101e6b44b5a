// Rows in memory, for tests and the simulator: what is put is kept at the end of the turn of the event loop.

import type { Clock } from "../../runtime/index.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import { GroupCommit } from "./commits.ts";
import { type KeyValue, type Row, type RowRange, type Table, tables, type Write } from "./port.ts";

interface Partition {
  readonly rows: Row[];
}

export function openMemoryKeyValue(clock: Clock, settings: StorageSettings = storageDefaults): KeyValue {
  const kept = new Map<Table, Map<string, Partition>>(tables.map((table) => [table, new Map()]));
  const partitions = (table: Table) => kept.get(table) as Map<string, Partition>;

  const commits = new GroupCommit({
    clock,
    settings,
    log: undefined,
    async commit(writes) {
      for (const write of writes) keep(partitions(write.table), write);
    },
  });

  return {
    get(table, partition, cluster) {
      const rows = partitions(table).get(partition)?.rows ?? [];
      const row = rows[firstFrom(rows, cluster)];
      return row !== undefined && Buffer.compare(row.cluster, cluster) === 0 ? row.value : undefined;
    },
    range(table, partition, range) {
      return slice(partitions(table).get(partition)?.rows ?? [], range);
    },
    put: (write) => commits.add(write),
    stats: () => commits.stats(),
    close: () => commits.close(),
  };
}

function keep(partitions: Map<string, Partition>, { partition, cluster, value }: Write): void {
  let found = partitions.get(partition);
  if (found === undefined) {
    if (value === undefined) return;
    found = { rows: [] };
    partitions.set(partition, found);
  }
  const { rows } = found;
  const at = firstFrom(rows, cluster);
  const there = rows[at];
  const replaced = there !== undefined && Buffer.compare(there.cluster, cluster) === 0 ? 1 : 0;
  if (value === undefined) rows.splice(at, replaced);
  else if (replaced === 0 && at === rows.length) rows.push({ cluster, value });
  else rows.splice(at, replaced, { cluster, value });
  if (rows.length === 0) partitions.delete(partition);
}

/** Index of the first row at or above `cluster`; most writes go to the end, so that is looked at first. */
function firstFrom(rows: readonly Row[], cluster: Uint8Array): number {
  const last = rows[rows.length - 1];
  if (last === undefined || Buffer.compare(last.cluster, cluster) < 0) return rows.length;
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare((rows[middle] as Row).cluster, cluster) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function slice(rows: readonly Row[], range: RowRange): Row[] {
  const first = range.from === undefined ? 0 : firstFrom(rows, range.from);
  let end = rows.length;
  if (range.to !== undefined) {
    end = firstFrom(rows, range.to);
    const last = rows[end];
    if (last !== undefined && Buffer.compare(last.cluster, range.to) === 0) end += 1;
  }
  const taken: Row[] = [];
  let bytes = 0;
  for (let i = 0; i < end - first; i++) {
    if (taken.length >= (range.rowsMax ?? Infinity) || bytes >= (range.bytesMax ?? Infinity)) break;
    const row = rows[range.descending ? end - 1 - i : first + i] as Row;
    bytes += row.value.byteLength;
    taken.push(row);
  }
  return taken;
}
