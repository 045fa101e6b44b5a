// The ring as its driver's documentation uses it: prepared statements at a quorum, and nothing of ours.

import cassandra from "cassandra-driver";
import { systemClock } from "../../runtime/index.ts";
import { applyCqlSchema } from "../../storage/index.ts";

export async function openRing(contactPoints: string, keyspace?: string): Promise<cassandra.Client> {
  const client = new cassandra.Client({
    contactPoints: contactPoints.split(","),
    localDataCenter: "datacenter1",
    queryOptions: { consistency: cassandra.types.consistencies.localQuorum, prepare: true },
    ...(keyspace === undefined ? {} : { keyspace }),
  });
  await client.connect();
  return client;
}

/** The tables of the house in a keyspace of its own, while `use` runs. */
export async function withKeyspace<T>(contactPoints: string, keyspace: string, use: () => Promise<T>): Promise<T> {
  await applyCqlSchema({ contactPoints: contactPoints.split(","), keyspace, clock: systemClock });
  try {
    return await use();
  } finally {
    const ring = await openRing(contactPoints);
    await ring.execute(`DROP KEYSPACE ${keyspace}`, [], { prepare: false }).catch(() => undefined); // slow, and the ring goes anyway
    await ring.shutdown();
  }
}
