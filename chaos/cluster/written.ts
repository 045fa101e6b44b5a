// Everything that lies in the engines, as one fingerprint a place: two of them tell whether something was written in between, and
// where. What is never the same twice is left out: which worker numbers are leased.

import { createHash } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Client } from "cassandra-driver";
import pg from "pg";

export type Written = ReadonlyMap<string, string>;

export interface Places {
  readonly natsUrl: string;
  readonly consulAddress: string;
  readonly consulToken?: string;
  /** Without it, what lies in NATS and Consul alone. */
  readonly stores?: {
    readonly contactPoints: string;
    readonly keyspaces: readonly string[];
    readonly databaseUrl: string;
  };
}

export async function readWritten({ natsUrl, consulAddress, consulToken, stores }: Places): Promise<Written> {
  const parts = [fromConsul(consulAddress, consulToken), fromNats(natsUrl)];
  if (stores !== undefined) {
    parts.push(fromRing(stores.contactPoints, stores.keyspaces), fromPostgres(stores.databaseUrl));
  }
  return new Map((await Promise.all(parts)).flat());
}

/** Places that differ. */
export function differences(before: Written, after: Written): string[] {
  const places = new Set([...before.keys(), ...after.keys()]);
  return [...places].filter((place) => before.get(place) !== after.get(place)).sort();
}

type Fingerprints = [string, string][];

async function fromConsul(address: string, token = ""): Promise<Fingerprints> {
  const headers = token === "" ? {} : { "x-consul-token": token };
  const ask = async (path: string) => {
    const answer = await fetch(address + path, { headers });
    return answer.status === 404 ? [] : ((await answer.json()) as Record<string, unknown>[]);
  };
  const keys = await ask("/v1/kv/madang/?recurse&consistent");
  const sessions = await ask("/v1/session/list?consistent");
  return [
    ...keys.map(({ Key, Value }): [string, string] => [`Consul key ${Key}`, digest(Value)]),
    ["Consul sessions", digest(sessions.map(({ Name }) => String(Name)).sort())],
  ];
}

async function fromNats(url: string): Promise<Fingerprints> {
  const { username, password, host } = new URL(url);
  const nats = await connect({
    servers: host,
    ...(username && { user: decodeURIComponent(username), pass: decodeURIComponent(password) }),
  });
  try {
    const { streams, consumers } = await jetstreamManager(nats);
    const found: Fingerprints = [];
    for await (const { config, state } of streams.list()) {
      const names: string[] = [];
      for await (const consumer of consumers.list(config.name)) names.push(digest(consumer.config));
      found.push([`NATS stream ${config.name}`, digest([config, state.last_seq, names])]);
    }
    return found;
  } finally {
    await nats.close();
  }
}

async function fromRing(contactPoints: string, keyspaces: readonly string[]): Promise<Fingerprints> {
  const client = new Client({ contactPoints: contactPoints.split(","), localDataCenter: "datacenter1" });
  try {
    const found: Fingerprints = [];
    for (const keyspace of keyspaces) {
      const select = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
      const { rows: tables } = await client.execute(select, [keyspace], { prepare: true });
      for (const { table_name: table } of tables) {
        const rows: string[] = [];
        const all = client.stream(`SELECT JSON * FROM ${keyspace}.${table}`, [], { autoPage: true });
        for await (const row of all as unknown as AsyncIterable<Record<string, string>>)
          rows.push(String(row["[json]"]));
        found.push([`table ${keyspace}.${table}`, digest(rows.sort())]);
      }
    }
    return found;
  } finally {
    await client.shutdown();
  }
}

async function fromPostgres(url: string): Promise<Fingerprints> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'workers'",
    );
    const found: Fingerprints = [];
    for (const { name } of tables) {
      const { rows } = await client.query(`SELECT t::text AS row FROM "${name}" AS t ORDER BY 1`);
      found.push([`table ${name} of the accounts`, digest(rows)]);
    }
    return found;
  } finally {
    await client.end();
  }
}

function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
