// The ring as its driver's documentation uses it: prepared statements at a quorum, and nothing of ours.

import cassandra from "cassandra-driver";
import { systemClock, toMadangError } from "../../runtime/index.ts";
import { memberPort, translator } from "../../storage/cql/connect.ts";
import { applyCqlSchema } from "../../storage/index.ts";
import { say } from "../measure.ts";

const SCHEMA_ATTEMPTS = 3;

/** `host:port=host:port`, with commas between; empty: members are where they say. */
export const translations = (text: string): Map<string, string> =>
  new Map(text === "" ? [] : text.split(",").map((pair) => pair.split("=") as [string, string]));

export async function openRing(contactPoints: string, keyspace?: string, translate = ""): Promise<cassandra.Client> {
  const translated = translations(translate);
  const address = { contactPoints: contactPoints.split(","), translate: translated };
  const client = new cassandra.Client({
    contactPoints: address.contactPoints,
    protocolOptions: { port: memberPort(address) },
    localDataCenter: "datacenter1",
    queryOptions: { consistency: cassandra.types.consistencies.localQuorum, prepare: true },
    ...(keyspace === undefined ? {} : { keyspace }),
    policies: { addressResolution: translator(translated) },
  });
  await client.connect();
  return client;
}

/** The tables of the house in a keyspace of its own, while `use` runs. */
export async function withKeyspace<T>(contactPoints: string, keyspace: string, use: () => Promise<T>): Promise<T> {
  await makeKeyspace(contactPoints, keyspace);
  try {
    return await use();
  } finally {
    const ring = await openRing(contactPoints);
    await ring.execute(`DROP KEYSPACE ${keyspace}`, [], { prepare: false }).catch(() => undefined); // slow, and the ring goes anyway
    await ring.shutdown();
  }
}

/** Behind what another measurement has left it to do, a ring may take longer to agree on a schema than anybody waits. */
async function makeKeyspace(contactPoints: string, keyspace: string): Promise<void> {
  for (let left = SCHEMA_ATTEMPTS; ; left--) {
    try {
      await applyCqlSchema({ contactPoints: contactPoints.split(","), keyspace, clock: systemClock });
      return;
    } catch (thrown) {
      const error = toMadangError(thrown);
      if (!error.retryable || left === 1) throw thrown;
      say(`  once more: ${error.message}`);
    }
  }
}
