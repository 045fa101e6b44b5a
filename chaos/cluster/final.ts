// What the ring holds in the end, against what was acknowledged: I1, I3, I5 and I7, counted.

import { Client, types } from "cassandra-driver";
import { decodeEntry } from "../../tools/demo/reader.ts";
import type { Poster } from "./poster.ts";

export interface Faults {
  readonly rows: number;
  /** Acknowledged, and not there under that id with that text (I1). */
  readonly lost: number;
  /** Ids that are missing below the last one (I3). */
  readonly holes: number;
  /** Numbers with two ids, and ids that two numbers were told (I5). */
  readonly twice: number;
  /** Texts that stand in another order than they were numbered (I4). */
  readonly outOfOrder: number;
  /** Rows of an older epoch above one of a newer epoch (I7). */
  readonly epochsFall: number;
}

/** A stamp is epoch × 2^24 + n. */
const EPOCH_STEP = 2 ** 24;
const BUCKET_ROWS = 1_000;
/** The server's own, before the entry. */
const MARK_BYTES = 8;

export async function findFaults(
  contactPoints: string,
  keyspace: string,
  posters: readonly Poster[],
  consistency: types.consistencies,
): Promise<Faults> {
  const client = new Client({
    contactPoints: contactPoints.split(","),
    localDataCenter: "datacenter1",
    keyspace,
    queryOptions: { consistency, prepare: true },
  });
  const faults = { rows: 0, lost: 0, holes: 0, twice: 0, outOfOrder: 0, epochsFall: 0 };
  try {
    for (const poster of posters) {
      const rows: { id: number; text: string; epoch: number }[] = [];
      for (let bucket = 0; ; bucket++) {
        const { rows: read } = await client.execute(
          "SELECT message_id, record, WRITETIME(record) AS written FROM messages WHERE channel_id = ? AND bucket = ?",
          [poster.channelId, bucket],
          { fetchSize: BUCKET_ROWS * 2 },
        );
        for (const row of read.reverse()) {
          const { text = "" } = decodeEntry((row.get("record") as Buffer).subarray(MARK_BYTES));
          const epoch = Math.floor(Number(row.get("written")) / EPOCH_STEP);
          rows.push({ id: Number(row.get("message_id")), text, epoch });
        }
        if (read.length === 0) break;
      }
      faults.rows += rows.length;
      const byId = new Map(rows.map((row) => [row.id, row]));
      faults.holes += (rows.at(-1)?.id ?? 0) - rows.length;
      faults.lost += poster.acked.filter(
        ({ number, messageId }) => byId.get(messageId)?.text !== poster.text(number),
      ).length;
      faults.twice += rows.length - new Set(rows.map(({ text }) => text)).size;
      faults.twice += poster.acked.length - new Set(poster.acked.map(({ messageId }) => messageId)).size;
      let lastNumber = 0;
      let lastEpoch = 0;
      for (const { text, epoch } of rows) {
        const number = Number(/ (\d+)»/.exec(text)?.[1]);
        if (number < lastNumber) faults.outOfOrder += 1;
        if (epoch < lastEpoch) faults.epochsFall += 1;
        lastNumber = Math.max(lastNumber, number);
        lastEpoch = Math.max(lastEpoch, epoch);
      }
    }
    return faults;
  } finally {
    await client.shutdown();
  }
}
