// The wake list where one process has the data: one empty row a (shard, epoch, slot, actor).

import type { WakeList, WakeRow } from "../../runtime/index.ts";
import { numberBytes, numberFrom } from "../kv/numbers.ts";
import type { KeyValue, Table } from "../kv/port.ts";

const nothing = new Uint8Array(0);
const table: Table = "wake";
const ACTOR_AT = 16;

export function createLocalWakeList(keyValue: KeyValue): WakeList {
  const put = (shard: number, row: WakeRow, value: Uint8Array | undefined) =>
    new Promise<void>((kept) => {
      const keeper = { kept };
      keyValue.put({ table, partition: String(shard), cluster: clusterOf(row), value, keeper });
    });

  return {
    register: (tenure, slot, actor) => put(tenure.shard, { epoch: tenure.epoch, slot, actor }, nothing),
    async list(shard) {
      return keyValue.range(table, String(shard), {}).map((row) => rowOf(row.cluster));
    },
    async remove(shard, rows) {
      await Promise.all(rows.map((row) => put(shard, row, undefined)));
    },
  };
}

function clusterOf({ epoch, slot, actor }: WakeRow): Uint8Array {
  return Buffer.concat([numberBytes(epoch), numberBytes(slot), Buffer.from(actor)]);
}

function rowOf(cluster: Uint8Array): WakeRow {
  return {
    epoch: numberFrom(cluster),
    slot: numberFrom(cluster, 8),
    actor: Buffer.from(cluster.subarray(ACTOR_AT)).toString(),
  };
}
