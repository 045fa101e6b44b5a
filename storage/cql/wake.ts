// The wake list on the ring: one partition a shard, in it the rows by epoch, slot and actor, so that a new owner reads all
// of it at once. wake-rows.ts tells how they are deleted. A deletion that is lost, or a row that comes back after the
// grace of its tombstone, only wakes an actor that has nothing to do.

import type { WakeList, WakeRow } from "../wake/port.ts";
import { type Attempts, attempt } from "./attempts.ts";
import { bigint, type CqlClient, type Statement, type Write } from "./client.ts";
import { deletionStamp, rowStamp, type WakeDeletion, WakeRows } from "./wake-rows.ts";

const INSERT = "INSERT INTO wake (shard, epoch, slot, actor) VALUES (?, ?, ?, ?) USING TIMESTAMP ?";
const SELECT = "SELECT epoch, slot, actor FROM wake WHERE shard = ?";
const DELETE = "DELETE FROM wake USING TIMESTAMP ? WHERE shard = ?";
const DELETE_ROW = `${DELETE} AND epoch = ? AND slot = ? AND actor = ?`;
const DELETE_SLOT = `${DELETE} AND epoch = ? AND slot = ?`;
const DELETE_SLOTS = `${DELETE} AND epoch = ? AND slot <= ?`;
const DELETE_EPOCHS = `${DELETE} AND epoch <= ?`;

export const wakeStatements = [INSERT, SELECT, DELETE_ROW, DELETE_SLOT, DELETE_SLOTS, DELETE_EPOCHS];

/** Of an actor's name, and what stands around it. */
const ROW_BYTES = 128;

export function createCqlWakeList(client: CqlClient, attempts: Attempts): WakeList {
  const { pageRowsMax, batchRowsMax } = attempts.settings;
  const known = new WakeRows();
  const paging = { rowsFirst: pageRowsMax, bytesOf: () => ROW_BYTES };

  return {
    async register(tenure, slot, actor) {
      const row = { epoch: tenure.epoch, slot, actor };
      const params = [tenure.shard, row.epoch, slot, actor, bigint(rowStamp(row))];
      known.began(tenure.shard, row);
      try {
        await attempt(attempts, "write", () => client.write(writeOf(tenure.shard, [{ query: INSERT, params }])));
      } catch (error) {
        known.failed(tenure.shard, row);
        throw error;
      }
    },
    async list(shard) {
      const found = await attempt(attempts, "read", () => client.read({ query: SELECT, params: [shard] }, paging));
      const rows = found
        .map((row) => row as unknown as WakeRow)
        .map(({ epoch, slot, actor }) => ({ epoch, slot, actor }));
      known.listed(shard, rows);
      return rows;
    },
    async remove(shard, rows) {
      const statements = known.remove(shard, rows).map((deletion) => statementOf(shard, deletion));
      for (let from = 0; from < statements.length; from += batchRowsMax) {
        const some = statements.slice(from, from + batchRowsMax);
        await attempt(attempts, "write", () => client.write(writeOf(shard, some)));
      }
    },
  };
}

function writeOf(shard: number, statements: readonly Statement[]): Write {
  return { partition: [shard], statements, bytes: statements.length * ROW_BYTES };
}

function statementOf(shard: number, deletion: WakeDeletion): Statement {
  const at = bigint(deletionStamp(deletion));
  switch (deletion.kind) {
    case "row": {
      const { epoch, slot, actor } = deletion.row;
      return { query: DELETE_ROW, params: [at, shard, epoch, slot, actor] };
    }
    case "slot":
      return { query: DELETE_SLOT, params: [at, shard, deletion.epoch, deletion.slot] };
    case "slots":
      return { query: DELETE_SLOTS, params: [at, shard, deletion.epoch, deletion.through] };
    case "epochs":
      return { query: DELETE_EPOCHS, params: [at, shard, deletion.through] };
  }
}
