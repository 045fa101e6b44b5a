// Starts that cannot go well, each of which ends by itself with a clear error, and of which nothing is written.

import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Client, types } from "cassandra-driver";
import pg from "pg";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { type Services, startServices } from "../../tools/services/index.ts";
import { until } from "./chatter.ts";
import { ms } from "./nodes.ts";
import type { World } from "./scenario.ts";
import { differences, type Places, readWritten, type Written } from "./written.ts";
import { faultsOf, startWrongly, type WrongStart } from "./wrong-start.ts";

const PASSWORD = "not for the log";
const TOKEN = "7a1d3c5e-0000-4000-8000-000000000001";
/** Longer than any way of finding out takes on a machine that is busy. */
const ENDS_WITHIN_MS = 30_000;
const AT_ONCE = 4;
const FAKETIME = "/usr/bin/faketime";
const QUIET_MS = 2_000;
/** Versions that a program of the future is ahead. */
const FUTURE = 98;

/** A second NATS and a second Consul, for clusters that meet where they should not, with users and tokens. */
export function startOthers(): Promise<Services> {
  const acl = { enabled: true, default_policy: "deny", tokens: { initial_management: TOKEN } };
  return startServices({
    only: ["nats", "consul"],
    given: {},
    natsConfig: `authorization { users: [{ user: "node", password: "${PASSWORD}" }] }`,
    consulConfig: { acl },
    consulToken: TOKEN,
  });
}

/** @param others those of startOthers */
export async function wrongStarts({ services, fact, say }: World, cluster: Cluster, others: Services): Promise<void> {
  const { settings } = cluster;
  const { environment } = services;
  const fresh = `bad-${randomBytes(3).toString("hex")}`;
  const contactPoints = environment.CQL_CONTACT_POINTS ?? "";
  const keyspace = settings.MADANG_CQL_KEYSPACE ?? "";
  const databaseUrl = environment.DATABASE_URL ?? "";
  const otherNats = (others.environment.NATS_URL ?? "").replace("//", `//node:${encodeURIComponent(PASSWORD)}@`);
  const otherConsul = others.environment.CONSUL_HTTP_ADDR ?? "";
  const places = {
    natsUrl: environment.NATS_URL ?? "",
    consulAddress: environment.CONSUL_HTTP_ADDR ?? "",
    stores: {
      contactPoints,
      keyspaces: [keyspace],
      databaseUrl,
    },
  };
  const elsewhere = { natsUrl: otherNats, consulAddress: otherConsul, consulToken: TOKEN };
  await corruptTable(environment.CONSUL_HTTP_ADDR ?? "", `${fresh}-table`);
  const before = [await quiet(places), await readWritten(elsewhere)] as const;

  const node = { ...settings, MADANG_NODE_NAME: "wrong", MADANG_ROLES: "actors" };
  const nobody = "127.0.0.1:9"; // discard: nobody listens there
  const wrongPassword = withPassword(databaseUrl, PASSWORD);
  const starts: readonly WrongStart[] = [
    {
      what: "NATS is not there",
      settings: { ...node, NATS_URL: `nats://${nobody}` },
      code: "NATS_UNREACHABLE",
      says: /127\.0\.0\.1:9/,
    },
    {
      what: "a password that NATS does not know",
      settings: { ...node, NATS_URL: otherNats.replace(encodeURIComponent(PASSWORD), "guessed") },
      code: "NATS_REFUSED",
      says: /Authorization/i,
      secrets: ["guessed"],
    },
    {
      what: "no user where NATS wants one",
      settings: { ...node, NATS_URL: others.environment.NATS_URL ?? "" },
      code: "NATS_REFUSED",
      says: /Authorization/i,
    },
    {
      what: "Consul is not there",
      settings: { ...node, CONSUL_HTTP_ADDR: nobody },
      code: "CONSUL_UNREACHABLE",
      says: /127\.0\.0\.1:9/,
    },
    {
      what: "what answers for Consul is something else",
      settings: { ...node, CONSUL_HTTP_ADDR: cluster.apiUrl },
      code: "CONSUL_GARBAGE",
      says: /not as Consul|not answer as Consul/,
    },
    {
      what: "no token where Consul wants one",
      settings: { ...node, CONSUL_HTTP_ADDR: otherConsul },
      code: "CONSUL_FORBIDDEN",
      says: /token/,
    },
    {
      what: "a token that Consul does not know",
      settings: { ...node, CONSUL_HTTP_ADDR: otherConsul, CONSUL_HTTP_TOKEN: "7a1d3c5e-0000-4000-8000-00000000dead" },
      code: "CONSUL_FORBIDDEN",
      says: /refuses the token/,
      secrets: ["00000000dead"],
    },
    {
      what: "PostgreSQL is not there",
      settings: { ...node, DATABASE_URL: `postgres://madang:${PASSWORD}@${nobody}/postgres` },
      code: "UNAVAILABLE",
      says: /PostgreSQL at .*127\.0\.0\.1:9/,
      secrets: [PASSWORD],
    },
    {
      what: "a wrong password for PostgreSQL",
      settings: { ...node, DATABASE_URL: wrongPassword },
      code: "DATABASE_REFUSED",
      says: /PostgreSQL at/,
      secrets: [PASSWORD, encodeURIComponent(PASSWORD)],
    },
    {
      what: "the ring is not there",
      settings: { ...node, CQL_CONTACT_POINTS: nobody },
      code: "STORE_UNREACHABLE",
      says: /127\.0\.0\.1:9/,
    },
    {
      what: "a ring whose members listen on several ports",
      settings: { ...node, CQL_CONTACT_POINTS: `${nobody},127.0.0.2:10` },
      code: "STORE_UNREACHABLE",
      says: /listen on one port/,
    },
    {
      what: "a keyspace that nobody has made",
      settings: { ...node, MADANG_CQL_KEYSPACE: "nowhere" },
      code: "SCHEMA_MISSING",
      says: /madang schema apply/,
    },
    {
      what: "another number of shards",
      settings: { ...node, MADANG_RUNTIME_SHARD_COUNT: "512" },
      code: "SHARD_COUNT_MISMATCH",
      says: /1024 shards.*512/,
    },
    {
      what: "a keyspace of another cluster",
      settings: { ...node, MADANG_CLUSTER: fresh },
      code: "CLUSTER_MISMATCH",
      says: new RegExp(`belongs to the cluster "${cluster.name}"`),
    },
    {
      what: "a keyspace with another number of shards",
      settings: {
        ...node,
        NATS_URL: otherNats,
        CONSUL_HTTP_ADDR: otherConsul,
        CONSUL_HTTP_TOKEN: TOKEN,
        MADANG_RUNTIME_SHARD_COUNT: "512",
      },
      code: "CLUSTER_MISMATCH",
      says: /1024 shards.*with 512/,
      secrets: [PASSWORD, TOKEN],
    },
    {
      what: "two clusters of one name on one NATS",
      settings: { ...node, CONSUL_HTTP_ADDR: otherConsul, CONSUL_HTTP_TOKEN: TOKEN },
      code: "CLUSTER_MISMATCH",
      says: /another cluster of the same name/,
    },
    {
      what: "the name of a node that is alive",
      settings: { ...node, MADANG_NODE_NAME: "actors-1" },
      code: "NAME_IN_USE",
      says: /actors-1#\w+ is alive/,
    },
    {
      what: "a table that is garbage",
      settings: { ...node, MADANG_CLUSTER: `${fresh}-table` },
      code: "PLACEMENT_CORRUPT",
      says: /cannot be read/,
    },
    {
      what: "more replicas of the push queue than NATS has servers",
      settings: { ...node, MADANG_PUSH_REPLICAS: "3" },
      code: "PUSH_QUEUE_UNFIT",
      says: /3 replicas/,
    },
    {
      what: "a setting that does not exist",
      settings: { ...node, MADANG_CHAT_GROUP_MEMBER_MAX: "10" },
      code: "",
      says: /MADANG_CHAT_GROUP_MEMBER_MAX names no setting/,
    },
    {
      what: "a role that does not exist",
      settings: { ...node, MADANG_ROLES: "actor" },
      code: "",
      says: /MADANG_ROLES must be some of/,
    },
    {
      what: "a name that cannot stand in a subject",
      settings: { ...node, MADANG_CLUSTER: "my.cluster" },
      code: "",
      says: /MADANG_CLUSTER must be/,
    },
    {
      what: "a cluster without a ring",
      settings: { ...node, CQL_CONTACT_POINTS: "" },
      code: "",
      says: /CQL_CONTACT_POINTS/,
    },
    ...(existsSync(FAKETIME)
      ? [
          {
            what: "a clock that is ten minutes ahead",
            settings: { ...node, FAKETIME_DONT_FAKE_MONOTONIC: "1" },
            code: "CLOCK_SKEW",
            says: /(59\d|60\d) s from Consul's; set it right/,
            wrapper: [FAKETIME, "-f", "+10m"],
          },
        ]
      : []),
  ];
  if (!existsSync(FAKETIME)) say(`no clock that is wrong: ${FAKETIME} is not there (Debian: apt-get install faketime)`);

  let longestMs = 0;
  const waiting = [...starts];
  const attempt = async (start: WrongStart) => {
    const ending = await startWrongly(start);
    longestMs = Math.max(longestMs, ending.tookMs);
    const faults = faultsOf(start, ending);
    fact(
      faults.length === 0,
      `${start.what}: exit ${ending.code} after ${ms(ending.tookMs)}, ${JSON.stringify(ending.said.trim())}` +
        (faults.length === 0 ? "" : ` (${faults.join("; ")})`),
    );
  };
  const worker = async () => {
    for (let start = waiting.shift(); start !== undefined; start = waiting.shift()) await attempt(start);
  };
  // One after the other, for all others read these tables, too.
  await raiseRing(contactPoints, keyspace, FUTURE);
  await attempt({ what: "a keyspace of a newer version", settings: node, code: "SCHEMA_TOO_NEW", says: /keyspace/ });
  await raiseRing(contactPoints, keyspace, -FUTURE);
  await raiseAccounts(databaseUrl, FUTURE);
  await attempt({ what: "accounts of a newer version", settings: node, code: "SCHEMA_TOO_NEW", says: /PostgreSQL/ });
  await raiseAccounts(databaseUrl, -FUTURE);
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  fact(
    longestMs < ENDS_WITHIN_MS,
    `each of ${starts.length + 2} wrong starts ends by itself, the slowest after ${ms(longestMs)}`,
  );
  const after = [await readWritten(places), await readWritten(elsewhere)] as const;
  const changed = [...differences(before[0], after[0]), ...differences(before[1], after[1])];
  fact(
    changed.length === 0 && before[0].size > 15,
    `nothing was written: ${before[0].size + before[1].size} keys, streams and tables are as before` +
      (changed.length === 0 ? "" : `, but for ${changed.join(", ")}`),
  );
}

/** A cluster that has just started hands its shards about for a while. */
async function quiet(places: Places): Promise<Written> {
  let last = await readWritten(places);
  await until(
    "the cluster writes nothing by itself",
    async () => {
      await pause(QUIET_MS);
      const before = last;
      last = await readWritten(places);
      return differences(before, last).length === 0;
    },
    60_000,
  );
  return last;
}

/** Says of the tables in the ring that a program of the future has made them, or that it has not. */
async function raiseRing(contactPoints: string, keyspace: string, by: number): Promise<void> {
  const ring = new Client({
    contactPoints: contactPoints.split(","),
    localDataCenter: "datacenter1",
    queryOptions: { consistency: types.consistencies.quorum },
  });
  try {
    const { rows } = await ring.execute(`SELECT version FROM ${keyspace}.schema_version WHERE name = 'version'`);
    const version = Number(rows[0]?.get("version"));
    const update = `UPDATE ${keyspace}.schema_version SET version = ? WHERE name = 'version' IF version = ?`;
    const raised = await ring.execute(update, [version + by, version], { prepare: true });
    if (!raised.wasApplied()) throw new Error(`the version of ${keyspace} is not ${version} any more`);
  } finally {
    await ring.shutdown();
  }
}

async function raiseAccounts(databaseUrl: string, by: number): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("UPDATE schema_version SET version = version + $1", [by]);
  } finally {
    await client.end();
  }
}

function withPassword(url: string, password: string): string {
  const changed = new URL(url);
  changed.password = password;
  return changed.href;
}

/** Of a cluster that has none but this. */
async function corruptTable(consul: string, cluster: string): Promise<void> {
  const config = JSON.stringify({ shardCount: 1_024, clusterId: "a-b" });
  for (const [key, value] of [
    ["config", config],
    ["placement", "no table"],
  ] as const) {
    await fetch(`${consul}/v1/kv/madang/${cluster}/${key}`, { method: "PUT", body: value });
  }
}
