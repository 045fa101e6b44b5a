// Jobs where one process has the data: one row each.

import { numberBytes, numberFrom } from "../kv/numbers.ts";
import type { KeyValue, Table } from "../kv/port.ts";
import type { JobStore } from "./port.ts";

const table: Table = "jobs";

export function createLocalJobs(keyValue: KeyValue): JobStore {
  const put = (queue: string, number: number, value: Uint8Array | undefined) =>
    new Promise<void>((kept) => {
      keyValue.put({ table, partition: queue, cluster: numberBytes(number), value, keeper: { kept } });
    });
  return {
    async list(queue) {
      return keyValue.range(table, queue, {}).map(({ cluster, value }) => ({ number: numberFrom(cluster), value }));
    },
    put: (queue, { number, value }) => put(queue, number, value),
    remove: (queue, number) => put(queue, number, undefined),
  };
}
