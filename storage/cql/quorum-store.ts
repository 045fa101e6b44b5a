// The QuorumStore on a ring that speaks CQL: the tables claims, revocations and messages of docs/fence.md.
//
// (Q1) Nothing is repeated here, but what failed together with others (departures.ts): whoever asked insists.
// (Q2) Every read and write is at the quorum.
// (Q3) Every write carries a stamp of its epoch; nothing here is ever written with a clock.

import type { types } from "cassandra-driver";
import { stamp } from "../../runtime/index.ts";
import type { CellBatch, CellRow, ClaimRow, QuorumStore } from "../fence/port.ts";
import type { StorageSettings } from "../settings.ts";
import {
  bigint,
  blob,
  type CqlClient,
  ints,
  nothingWritten,
  type Paging,
  type Statement,
  type Written,
} from "./client.ts";
import type { Place } from "./preferred-members.ts";

const INSERT_CLAIM = "INSERT INTO claims (shard, epoch, owner) VALUES (?, ?, ?) USING TIMESTAMP ?";
const SELECT_CLAIMS = "SELECT epoch, owner FROM claims WHERE shard = ?";
const DELETE_CLAIM = "DELETE FROM claims USING TIMESTAMP ? WHERE shard = ? AND epoch = ? AND owner = ?";
const REVOKE = "INSERT INTO revocations (owner, shard, epoch) VALUES (?, ?, ?) USING TIMESTAMP ? AND TTL ?";
const SELECT_REVOCATIONS_OF = "SELECT shard, epoch FROM revocations WHERE owner = ? AND shard IN ?";
const SELECT_REVOCATIONS = "SELECT shard, epoch FROM revocations WHERE owner = ?";
const INSERT_CELL =
  "INSERT INTO messages (channel_id, bucket, message_id, record) VALUES (?, ?, ?, ?) USING TIMESTAMP ?";
const DELETE_ABOVE = "DELETE FROM messages USING TIMESTAMP ? WHERE channel_id = ? AND bucket = ? AND message_id > ?";
const SELECT_CELLS =
  "SELECT message_id, record, WRITETIME(record) AS written FROM messages " +
  "WHERE channel_id = ? AND bucket = ? AND message_id >= ? AND message_id <= ?";

export const quorumStatements = [
  INSERT_CLAIM,
  SELECT_CLAIMS,
  DELETE_CLAIM,
  REVOKE,
  SELECT_REVOCATIONS_OF,
  SELECT_REVOCATIONS,
  INSERT_CELL,
  DELETE_ABOVE,
  SELECT_CELLS,
];

/** Of one claim: the row, and its deletion, which has to win over a late copy of the row. */
const CLAIMED = 1;
const CLEANED = 2;

/** More names in one read are refused by ScyllaDB (100), and cost more than the whole partition. */
const SHARDS_NAMED_MAX = 64;

/** Sixteen of the largest rows are 6 MB, which a busy member answers in time; fifty it did not. */
const CELLS_FIRST = 16;
const cellPaging: Paging = {
  rowsFirst: CELLS_FIRST,
  bytesOf: (row) => (row as unknown as StoredCell).record.byteLength,
};

interface StoredCell {
  readonly message_id: bigint;
  readonly record: Buffer;
  readonly written: bigint;
}

export interface CqlQuorumStore extends QuorumStore {
  readonly written: Readonly<Written>;
}

export function createCqlQuorumStore(client: CqlClient, settings: StorageSettings): CqlQuorumStore {
  const ttlS = Math.ceil(settings.revocationKeptMs / 1_000);
  const written = nothingWritten();
  /** Of the revocations of the owner that asked last, which is always this node. */
  let asked: { readonly owner: string; readonly place: Place } | undefined;

  return {
    written,
    isFull: () => client.isFull,
    async insertClaim(shard, { epoch, owner }) {
      const params = [shard, epoch, owner, bigint(stamp(epoch, CLAIMED))];
      await client.writeUrgently({ query: INSERT_CLAIM, params });
    },
    async readClaims(shard) {
      const rows = await client.readUrgently({ query: SELECT_CLAIMS, params: [shard] });
      return rows.map((row) => ({ epoch: row.epoch as number, owner: row.owner as string }));
    },
    async deleteClaims(shard, claims) {
      if (claims.length === 0) return;
      const deletions = claims.map((claim) => deletionOf(shard, claim));
      await client.write({ partition: [shard], statements: deletions, bytes: 0 });
    },
    async insertRevocation(owner, shard, epoch) {
      const params = [owner, shard, epoch, bigint(stamp(epoch, 0)), ttlS];
      await client.writeUrgently({ query: REVOKE, params });
    },
    async readRevocations(owner, shards) {
      const some = shards.length <= SHARDS_NAMED_MAX;
      if (asked?.owner !== owner) asked = { owner, place: client.placeOf([owner]) };
      const rows = await client.readUrgently(
        some
          ? { query: SELECT_REVOCATIONS_OF, params: [owner, ints(shards)] }
          : { query: SELECT_REVOCATIONS, params: [owner] },
        asked.place,
      );
      if (some) return epochsOf(rows);
      const wanted = new Set(shards);
      return epochsOf(rows.filter((row) => wanted.has(row.shard as number)));
    },
    writeCells(batch) {
      let bytes = 0;
      for (const { cell } of batch.rows) bytes += cell.byteLength;
      const partition = [batch.channelId, batch.bucket];
      return client.write({ partition, statements: statementsOf(batch), bytes, awaited: true }, written);
    },
    async readCells(channelId, bucket, from, to) {
      const params = [channelId, bucket, bigint(from), bigint(to)];
      const rows = await client.read({ query: SELECT_CELLS, params }, { ...cellPaging, rowsMax: to - from + 1 });
      // The table lies newest first, and is read as it lies.
      return rows.map((row) => cellOf(row as unknown as StoredCell)).reverse();
    },
  };
}

function deletionOf(shard: number, { epoch, owner }: ClaimRow): Statement {
  return { query: DELETE_CLAIM, params: [bigint(stamp(epoch, CLEANED)), shard, epoch, owner] };
}

function epochsOf(rows: readonly types.Row[]): Map<number, number> {
  return new Map(rows.map((row) => [row.shard as number, row.epoch as number]));
}

function statementsOf({ channelId, bucket, tombstone, rows, timestamp }: CellBatch): Statement[] {
  const statements: Statement[] = [];
  if (tombstone !== undefined) {
    const params = [bigint(tombstone.timestamp), channelId, bucket, bigint(tombstone.above)];
    statements.push({ query: DELETE_ABOVE, params });
  }
  const written = bigint(timestamp);
  for (const { id, cell } of rows) {
    statements.push({ query: INSERT_CELL, params: [channelId, bucket, bigint(id), blob(cell), written] });
  }
  return statements;
}

function cellOf({ message_id, record, written }: StoredCell): CellRow {
  return { id: Number(message_id), cell: record, writetime: Number(written) };
}
