// Everything that lies in the engines, as one fingerprint a place: two of them tell whether something was written in between, and
// where. What is never the same twice is left out: which worker numbers are leased.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Client, types } from "cassandra-driver";
import pg from "pg";
import { askConsul } from "../../tools/services/index.ts";

export type Written = ReadonlyMap<string, string>;

export interface Places {
  readonly natsUrl: string;
  readonly consulAddress: string;
  readonly consulToken?: string;
  /** Of the authority that has signed the certificates of NATS, Consul and the ring; without it they are asked in clear. */
  readonly caFile?: string;
  /** Without it, what lies in NATS and Consul alone. */
  readonly stores?: {
    readonly contactPoints: string;
    readonly credentials?: { readonly username: string; readonly password: string };
    readonly keyspaces: readonly string[];
    readonly databaseUrl: string;
  };
}

export async function readWritten(places: Places): Promise<Written> {
  const parts = [fromConsul(places), fromNats(places)];
  if (places.stores !== undefined) parts.push(fromRing(places), fromPostgres(places.stores.databaseUrl));
  return new Map((await Promise.all(parts)).flat());
}

/** Places that differ. */
export function differences(before: Written, after: Written): string[] {
  const places = new Set([...before.keys(), ...after.keys()]);
  return [...places].filter((place) => before.get(place) !== after.get(place)).sort();
}

type Fingerprints = [string, string][];

async function fromConsul({ consulAddress: address, consulToken = "", caFile }: Places): Promise<Fingerprints> {
  const access = { address, token: consulToken, ...(caFile && { ca: readFileSync(caFile, "utf8") }) };
  const ask = async (path: string) => {
    const { status, text } = await askConsul(access, path);
    return status === 404 ? [] : (JSON.parse(text) as Record<string, unknown>[]);
  };
  const keys = await ask("/v1/kv/madang/?recurse&consistent");
  const sessions = await ask("/v1/session/list?consistent");
  return [
    ...keys.map(({ Key, Value }): [string, string] => [`Consul key ${Key}`, digest(Value)]),
    ["Consul sessions", digest(sessions.map(({ Name }) => String(Name)).sort())],
  ];
}

async function fromNats({ natsUrl, caFile }: Places): Promise<Fingerprints> {
  const { username, password, host } = new URL(natsUrl);
  const nats = await connect({
    servers: host,
    ...(username && { user: decodeURIComponent(username), pass: decodeURIComponent(password) }),
    ...(caFile && { tls: { caFile } }),
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

async function fromRing({ stores, caFile }: Places): Promise<Fingerprints> {
  const { contactPoints = "", keyspaces = [], credentials } = stores ?? {};
  const client = new Client({
    contactPoints: contactPoints.split(","),
    localDataCenter: "datacenter1",
    queryOptions: { consistency: types.consistencies.quorum }, // what one replica has not got was written, too
    ...(credentials && { credentials }),
    ...(caFile && { sslOptions: { ca: readFileSync(caFile), rejectUnauthorized: true } }),
  });
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
