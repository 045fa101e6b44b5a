// Reads every message that a cluster has kept, from the ring itself and at QUORUM. It shares no code with server or SDK (reader.ts).
//
//   messages ((channel_id, bucket), message_id): record    bucket = (message_id - 1) / 1000, rounded down
//   record                                                 eight bytes of the server's own, then the entry

import { readFileSync } from "node:fs";
import { auth, Client, types } from "cassandra-driver";
import { type KeptLog, logsOf, type Row } from "./reader.ts";

export interface Ring {
  /** host:port, with commas between. */
  readonly contactPoints: string;
  readonly keyspace: string;
  /** Of a ring that has several. */
  readonly dataCenter?: string;
  readonly user?: string;
  readonly password?: string;
  /** PEM of the authority that has signed its certificates; without it the connection is not encrypted. */
  readonly caFile?: string;
}

/** As the nodes' settings say. */
export function ringOf(settings: Readonly<Record<string, string>>): Ring {
  return {
    contactPoints: settings.CQL_CONTACT_POINTS ?? "",
    keyspace: settings.MADANG_CQL_KEYSPACE ?? "",
    ...(settings.MADANG_CQL_USER && { user: settings.MADANG_CQL_USER }),
    ...(settings.MADANG_CQL_PASSWORD && { password: settings.MADANG_CQL_PASSWORD }),
    ...(settings.MADANG_CQL_CA_FILE && { caFile: settings.MADANG_CQL_CA_FILE }),
  };
}

/** As Cassandra names it where nobody has said otherwise. */
const ONLY_DATA_CENTER = "datacenter1";
/** Where all members listen if the first address does not say it. */
const USUAL_PORT = 9042;
const MARK_BYTES = 8;
const BUCKET_ROWS = 1_000;

export async function readRing(
  ring: Ring,
): Promise<{ readonly logs: ReadonlyMap<string, KeptLog>; readonly rows: number }> {
  const contactPoints = ring.contactPoints.split(",");
  const client = new Client({
    contactPoints,
    protocolOptions: { port: Number(contactPoints[0]?.split(":")[1] ?? USUAL_PORT) },
    localDataCenter: ring.dataCenter ?? ONLY_DATA_CENTER,
    keyspace: ring.keyspace,
    queryOptions: { consistency: types.consistencies.quorum, fetchSize: 500 },
    ...(ring.user ? { authProvider: new auth.PlainTextAuthProvider(ring.user, ring.password ?? "") } : {}),
    ...(ring.caFile ? { sslOptions: { ca: readFileSync(ring.caFile), rejectUnauthorized: true } } : {}),
  });
  try {
    const rows: Row[] = [];
    const all = client.stream("SELECT channel_id, bucket, message_id, record FROM messages", [], { autoPage: true });
    for await (const row of all as unknown as AsyncIterable<types.Row>) {
      const messageId = Number(row.get("message_id"));
      const bucket = Number(row.get("bucket"));
      if (bucket !== Math.floor((messageId - 1) / BUCKET_ROWS))
        throw new Error(`message ${messageId} lies in bucket ${bucket}`);
      const record = row.get("record") as Buffer;
      rows.push({
        channelId: String(row.get("channel_id")),
        messageId,
        value: new Uint8Array(record.subarray(MARK_BYTES)),
      });
    }
    return { logs: logsOf(rows), rows: rows.length };
  } finally {
    await client.shutdown();
  }
}
