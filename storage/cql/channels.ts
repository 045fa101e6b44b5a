// All channels that the ring has a log of, for whoever repairs what is derived from them. The whole table is gone through, so it
// is no part of serving anybody.

import type { types } from "cassandra-driver";
import { silentLogger } from "../../runtime/index.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import { connect, type RingAddress } from "./connect.ts";

/** A log begins in its first bucket, and no bucket is empty. */
const FIRST_BUCKET = 0;
const PARTITIONS = "SELECT DISTINCT channel_id, bucket FROM messages";
/** Partitions are small here, and their keys are all that is asked for. */
const PAGE_ROWS = 1_000;

/** In no order, each once. Rejects with STORE_UNREACHABLE, STORE_REFUSED or SCHEMA_MISSING. */
export async function* listChannels(
  ring: RingAddress & { readonly settings?: Partial<StorageSettings> },
): AsyncGenerator<string> {
  const settings = { ...storageDefaults, ...ring.settings };
  const { driver } = await connect(ring, ring.keyspace, settings, silentLogger);
  try {
    let pageState: string | undefined;
    do {
      const options = { prepare: true, isIdempotent: true, fetchSize: PAGE_ROWS };
      const page: types.ResultSet = await driver.execute(PARTITIONS, [], {
        ...options,
        ...(pageState === undefined ? {} : { pageState }),
      });
      for (const row of page.rows) if (row.bucket === FIRST_BUCKET) yield row.channel_id as string;
      pageState = page.pageState ?? undefined;
    } while (pageState !== undefined);
  } finally {
    await driver.shutdown();
  }
}
