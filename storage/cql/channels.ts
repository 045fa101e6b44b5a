// All channels that the ring has a log of, for whoever repairs what is derived from them. The whole table is gone through, so it
// is no part of serving anybody.

import type { types } from "cassandra-driver";
import { silentLogger, systemClock } from "../../runtime/index.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import { attempt } from "./attempts.ts";
import { connect, forbidden, isForbidden, isInvalid, type RingAddress, schemaMissing } from "./connect.ts";

/**
 * A log begins with its first message, and keeps it. Nothing is filtered: of each partition one row is looked for. DISTINCT would say
 * what is meant, but Cassandra 5.0.5 fails at it, and at PER PARTITION LIMIT, where a row lies over a deleted range, as the first rows
 * of every owner do.
 */
const FIRST_MESSAGES = "SELECT channel_id FROM messages WHERE message_id = 1 ALLOW FILTERING";
const PAGE_ROWS = 1_000;

/**
 * In no order, each once. A page that the ring does not give is asked for again, `readAttemptsMax` times.
 * Rejects with STORE_UNREACHABLE, STORE_REFUSED, SCHEMA_MISSING or UNAVAILABLE.
 */
export async function* listChannels(
  ring: RingAddress & { readonly settings?: Partial<StorageSettings> },
): AsyncGenerator<string> {
  const settings = { ...storageDefaults, ...ring.settings };
  const { driver } = await connect(ring, ring.keyspace, settings, silentLogger);
  let hopeless: Error | undefined;
  const attempts = { clock: systemClock, settings, log: silentLogger, closed: () => hopeless !== undefined };
  const read = async (pageState: string | undefined): Promise<types.ResultSet> => {
    const options: object = { prepare: true, isIdempotent: true, fetchSize: PAGE_ROWS, pageState };
    try {
      return await driver.execute(FIRST_MESSAGES, [], options);
    } catch (error) {
      if (isForbidden(error)) hopeless = forbidden(ring, error);
      if (isInvalid(error)) hopeless = schemaMissing(ring.keyspace, error);
      throw error;
    }
  };
  try {
    let pageState: string | undefined;
    do {
      const from = pageState;
      const page = await attempt(attempts, "read", () => read(from)).catch((error) => {
        throw hopeless ?? error;
      });
      for (const row of page.rows) yield row.channel_id as string;
      pageState = page.pageState ?? undefined;
    } while (pageState !== undefined);
  } finally {
    await driver.shutdown();
  }
}
