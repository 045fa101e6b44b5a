// Rows in memory, for tests and the simulator: what is put is kept at the end of the turn of the event loop.

import { type Clock, silentLogger } from "../../runtime/index.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import { GroupCommit } from "./commits.ts";
import type { KeyValue, Row } from "./port.ts";
import { RowMap } from "./row-map.ts";

export function openMemoryKeyValue(clock: Clock, settings: StorageSettings = storageDefaults): KeyValue {
  const rows = new RowMap(false);
  const commits = new GroupCommit({
    clock,
    settings,
    log: silentLogger,
    async commit(writes) {
      for (const write of writes) rows.put(write);
    },
  });
  return {
    get: (table, partition, cluster) => rows.get(table, partition, cluster)?.value,
    range: (table, partition, range) => rows.range(table, partition, range) as Row[], // it keeps no marks
    put: (write) => commits.add(write),
    stats: () => commits.stats(),
    close: () => commits.close(),
  };
}
