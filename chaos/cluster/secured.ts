// Everything by TLS and with credentials: engines of its own that answer nobody in clear and ask everybody who he is, a cluster
// that may do what docs/deployment.md says it needs and nothing else, and starts with one thing wrong at a time.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "cassandra-driver";
import pg from "pg";
import { type Cluster, runCommandLine } from "../../tools/cluster/cluster.ts";
import {
  type Authority,
  askConsul,
  createAuthority,
  type Services,
  startServices,
} from "../../tools/services/index.ts";
import { throwAwayFolder } from "../../tools/services/throw-away.ts";
import { type Chatter, gather, servedSince, stateArrival, statePromises } from "./chatter.ts";
import { openDetour } from "./detour.ts";
import { ms } from "./nodes.ts";
import { type NatsUser, natsPermissions, PERMITTED_CLUSTER, root, withUser } from "./permissions.ts";
import type { Scenario, World } from "./scenario.ts";
import { differences, readWritten } from "./written.ts";
import { type WrongAccessOptions, wrongAccess } from "./wrong-access.ts";
import { faultsOf, startWrongly } from "./wrong-start.ts";

type Settings = Readonly<Record<string, string>>;

const KEYSPACE = "prod";
const KEYSPACE_MADE_BEFORE = "made_before";
const DATABASE = "prod";
/** Roles in the ring and in PostgreSQL. */
const NODE = "madang_node";
const MAKER = "madang_maker";
const KEEPER = "madang_keeper";
const STRANGER = "stranger";
const READER = "madang_reader";
const AT_ONCE = 3;
const TALK_MS = 3_000;
const SERVED_WITHIN_MS = 30_000;
const SETTLED_MS = 30_000;

/** What nodes and the command line are given, and what they must never print. */
interface Access {
  readonly settings: Settings;
  /** To make the tables of the ring with: where there is no keyspace, and where an administrator has made one. */
  readonly maker: Settings;
  readonly keeper: Settings;
  /** In the ring, where it may look and change nothing. */
  readonly reader: Settings;
  /** Known to its engine, each, and permitted nothing there. */
  readonly powerless: WrongAccessOptions["powerless"];
  readonly secrets: readonly string[];
}

interface Stage {
  readonly world: World;
  readonly engines: Services;
  readonly administrator: Administrator;
  readonly another: Authority;
  readonly access: Access;
}

export const secured: Scenario = {
  name: "everything by TLS and with credentials, and starts without",
  withinMs: 240_000,
  ownEngines: true,
  async run(world) {
    const closers: (() => Promise<unknown>)[] = [];
    try {
      const folder = await throwAwayFolder();
      closers.push(() => folder.remove());
      const authority = await createAuthority(join(folder.path, "authority"));
      const another = await createAuthority(join(folder.path, "another-authority"));
      const { natsConfig, passwords } = await natsPermissions();
      const consulToken = randomUUID();
      const acl = { enabled: true, default_policy: "deny", tokens: { initial_management: consulToken } };
      const consul = { consulConfig: { acl }, consulToken };
      const log = world.say;
      const engines = await startServices({ given: {}, cassandraNodes: 1, authority, natsConfig, ...consul, log });
      closers.push(() => engines.stop());
      const administrator = await becomeAdministrator(engines);
      closers.push(() => administrator.close());
      const access = await giveAccess(administrator, engines, passwords);
      const stage = { world, engines, administrator, another, access };
      await makeTables(stage);
      await wrongStarts(stage);
      const cluster = await world.cluster({ actors: 1, gateways: 1, apis: 1, pushers: 1 }, access.settings);
      closers.push(() => cluster.stop()); // before what it stands upon
      await live(stage, cluster);
    } finally {
      for (const close of closers.reverse()) {
        await close().catch((error: unknown) => world.say(`not ended in order: ${String(error)}`));
      }
    }
  },
};

// ---- who may do what

interface Administrator {
  ring(statement: string): Promise<readonly Record<string, unknown>[]>;
  database(statement: string): Promise<readonly Record<string, unknown>[]>;
  consul(path: string, body: object): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

async function becomeAdministrator({ environment }: Services): Promise<Administrator> {
  const of = (name: string) => environment[name] ?? "";
  const ring = new Client({
    contactPoints: of("CQL_CONTACT_POINTS").split(","),
    localDataCenter: "datacenter1",
    credentials: { username: of("MADANG_CQL_USER"), password: of("MADANG_CQL_PASSWORD") },
    sslOptions: { ca: await readFile(of("MADANG_CQL_CA_FILE")), rejectUnauthorized: true },
  });
  const database = new pg.Client({ connectionString: of("DATABASE_URL") });
  database.on("error", () => undefined); // the next statement says it
  await database.connect();
  const consul = {
    address: of("CONSUL_HTTP_ADDR"),
    token: of("CONSUL_HTTP_TOKEN"),
    ca: await readFile(of("MADANG_CONSUL_CA_FILE"), "utf8"),
  };
  return {
    ring: async (statement) => (await ring.execute(statement)).rows ?? [],
    database: async (statement) => (await database.query(statement)).rows,
    async consul(path, body) {
      const { status, text } = await askConsul(consul, `/v1/acl/${path}`, JSON.stringify(body));
      if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
      return JSON.parse(text);
    },
    async close() {
      await ring.shutdown();
      await database.end();
    },
  };
}

/** As docs/deployment.md says, and nobody is a superuser. */
async function giveAccess(
  { ring, database, consul }: Administrator,
  { environment }: Services,
  passwords: Readonly<Record<NatsUser, string>>,
): Promise<Access> {
  await consul("policy", { Name: "nodes", Rules: await readFile(join(root, "deploy/consul/policy.hcl"), "utf8") });
  await consul("policy", { Name: "nothing", Rules: "" });
  const tokenFor = async (policy: string) => String((await consul("token", { Policies: [{ Name: policy }] })).SecretID);
  const token = await tokenFor("nodes");

  const roles = [NODE, MAKER, KEEPER, READER, STRANGER].map((user) => ({ user, password: randomUUID() }));
  for (const { user, password } of roles) {
    await ring(`CREATE ROLE ${user} WITH LOGIN = true AND PASSWORD = '${password}'`);
  }
  await ring(`GRANT CREATE ON ALL KEYSPACES TO ${MAKER}`);
  const replication = "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}";
  await ring(`CREATE KEYSPACE ${KEYSPACE_MADE_BEFORE} WITH replication = ${replication}`);
  for (const permission of ["CREATE", "ALTER", "SELECT", "MODIFY"]) {
    await ring(`GRANT ${permission} ON KEYSPACE ${KEYSPACE_MADE_BEFORE} TO ${KEEPER}`);
  }
  const passwordOf = (name: string) => roles.find(({ user }) => user === name)?.password ?? "";
  for (const user of [NODE, STRANGER]) {
    await database(`CREATE ROLE ${user} LOGIN PASSWORD '${passwordOf(user)}'`);
  }
  await database(`CREATE DATABASE ${DATABASE} OWNER ${NODE}`);

  const ringAs = (user: string): Settings => ({ MADANG_CQL_USER: user, MADANG_CQL_PASSWORD: passwordOf(user) });
  const natsAs = (user: NatsUser): Settings => ({
    NATS_URL: withUser(environment.NATS_URL ?? "", user, passwords[user]),
  });
  const databaseAs = (user: string): Settings => {
    const url = new URL(withUser(environment.DATABASE_URL ?? "", user, passwordOf(user)));
    url.pathname = `/${DATABASE}`;
    return { DATABASE_URL: url.href };
  };
  const settings = {
    ...environment,
    MADANG_CLUSTER: PERMITTED_CLUSTER,
    MADANG_CQL_KEYSPACE: KEYSPACE,
    MADANG_PUSH_REPLICAS: "1",
    CONSUL_HTTP_TOKEN: token,
    ...natsAs("node"),
    ...ringAs(NODE),
    ...databaseAs(NODE),
  };
  const ringAlone = { MADANG_CLUSTER: "", DATABASE_URL: "", MADANG_CQL_KEYSPACE: KEYSPACE_MADE_BEFORE };
  return {
    settings,
    maker: { ...settings, ...ringAs(MAKER) },
    keeper: { ...settings, ...ringAlone, ...ringAs(KEEPER) },
    reader: { ...settings, ...ringAs(READER) },
    powerless: {
      nats: natsAs("bot"),
      consul: { CONSUL_HTTP_TOKEN: await tokenFor("nothing") },
      ring: ringAs(STRANGER),
      postgres: databaseAs(STRANGER),
    },
    secrets: [...Object.values(passwords), token, ...roles.map(({ password }) => password)],
  };
}

async function makeTables({ world, administrator, access }: Stage): Promise<void> {
  const apply = (settings: Settings) =>
    runCommandLine(settings, "schema", "apply").then(
      (said) => said.trim().replaceAll("\n", "; "),
      (error: Error) => error.message,
    );
  const made = await apply(access.maker);
  const select = `SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '${KEYSPACE}'`;
  const [row] = await administrator.ring(select);
  const copies = (row?.replication as Record<string, string> | undefined)?.datacenter1;
  world.fact(
    /keyspace prod: .*not there.*accounts: .*not there/.test(made) && copies === "1",
    `a role that may make keyspaces applies the schema: ${made}; copies: ${copies}, for the ring has one member`,
  );
  const kept = await apply(access.keeper);
  world.fact(/not there/.test(kept), `and one that may only fill a keyspace that was made for it: ${kept}`);
  for (const permission of ["SELECT", "MODIFY"]) {
    await administrator.ring(`GRANT ${permission} ON KEYSPACE ${KEYSPACE} TO ${NODE}`);
  }
  await administrator.ring(`GRANT SELECT ON KEYSPACE ${KEYSPACE} TO ${READER}`);
  const again = await apply(access.settings);
  world.fact(
    /was there already.*was there already/.test(again),
    `what is there needs no more than a node may: ${again}`,
  );
}

// ---- starts

async function wrongStarts(stage: Stage): Promise<void> {
  const { world, engines, another, access } = stage;
  const { settings } = access;
  const places = {
    natsUrl: settings.NATS_URL ?? "",
    consulAddress: settings.CONSUL_HTTP_ADDR ?? "",
    consulToken: engines.environment.CONSUL_HTTP_TOKEN ?? "",
    caFile: settings.MADANG_CQL_CA_FILE ?? "",
    stores: {
      contactPoints: settings.CQL_CONTACT_POINTS ?? "",
      credentials: { username: NODE, password: settings.MADANG_CQL_PASSWORD ?? "" },
      keyspaces: [KEYSPACE],
      databaseUrl: settings.DATABASE_URL ?? "",
    },
  };
  const before = await readWritten(places);
  const ways = {
    nats: await openDetour(new URL(settings.NATS_URL ?? "").host),
    consul: await openDetour(new URL(settings.CONSUL_HTTP_ADDR ?? "").host),
    ring: await openDetour(settings.CQL_CONTACT_POINTS ?? ""),
    postgres: await openDetour(new URL(settings.DATABASE_URL ?? "").host),
  };
  const detours = {
    nats: ways.nats.address,
    consul: ways.consul.address,
    ring: ways.ring.address,
    postgres: ways.postgres.address,
  };
  const waiting = wrongAccess({ ...access, otherAuthority: another.file, detours });
  const count = waiting.length;
  const worker = async () => {
    for (let start = waiting.shift(); start !== undefined; start = waiting.shift()) {
      const ending = await startWrongly(start);
      const faults = faultsOf(start, ending);
      world.fact(
        faults.length === 0,
        `${start.what}: exit ${ending.code} after ${ms(ending.tookMs)}, ${JSON.stringify(ending.said.trim())}` +
          (faults.length === 0 ? "" : ` (${faults.join("; ")})`),
      );
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } finally {
    await Promise.all(Object.values(ways).map((way) => way.close()));
  }
  const changed = differences(before, await readWritten(places));
  world.fact(
    changed.length === 0 && before.size > 15,
    `nothing was written by ${count} wrong starts: ${before.size} tables, and what lies in NATS and Consul, are as before` +
      (changed.length === 0 ? "" : `, but for ${changed.join(", ")}`),
  );
}

// ---- a cluster

async function live(stage: Stage, cluster: Cluster): Promise<void> {
  const { world, engines, access } = stage;
  const chatter = await gather({ cluster, pairs: 2, everyMs: 100, groupEvery: 4 });
  try {
    chatter.talk();
    await pause(TALK_MS);
    const [nats] = engines.nats;
    await nats?.kill();
    await nats?.start();
    await servedAgain(world, chatter);
    await stateArrival(world, chatter, SETTLED_MS);
    await statePromises(world, chatter);
  } finally {
    await chatter.close();
  }
  await refuseReader(stage);
  await lookAround(stage);
  const listed = await cluster.command("nodes");
  const missing = [...cluster.nodes.keys()].filter((name) => !listed.includes(`${name}#`));
  world.fact(
    missing.length === 0,
    `madang nodes, by the same settings: ${cluster.nodes.size - missing.length} of ${cluster.nodes.size} nodes`,
  );
  const telling = [...cluster.nodes.values()].filter(({ said }) => access.secrets.some((one) => said().includes(one)));
  world.fact(telling.length === 0, `of ${access.secrets.length} secrets none is in what the nodes print`);
}

async function servedAgain(world: World, chatter: Chatter): Promise<void> {
  const tookMs = await servedSince(chatter, performance.now(), SERVED_WITHIN_MS);
  world.fact(true, `NATS is killed and started again: by TLS again, every channel is served after ${ms(tookMs)}`);
}

/** It could take shards, and serve none. */
async function refuseReader({ world, access }: Stage): Promise<void> {
  const start = {
    what: "a role that may read the ring and change nothing, on a cluster that lives",
    settings: { ...access.reader, MADANG_NODE_NAME: "reader", MADANG_ROLES: "actors" },
    code: "STORE_REFUSED",
    says: /The ring at .*no MODIFY permission/,
    secrets: access.secrets,
  };
  const ending = await startWrongly(start);
  const faults = faultsOf(start, ending);
  world.fact(
    faults.length === 0,
    `${start.what}: exit ${ending.code} after ${ms(ending.tookMs)}, ${JSON.stringify(ending.said.trim())} ${faults.join("; ")}`,
  );
}

/** How the nodes came, as the engines see it. NATS and Consul have no other door. */
async function lookAround({ world, administrator }: Stage): Promise<void> {
  const clients = await administrator.ring("SELECT username, ssl_enabled FROM system_views.clients");
  const nodes = clients.filter(({ username }) => username === NODE);
  const encrypted = clients.filter(({ ssl_enabled }) => ssl_enabled === true);
  world.fact(
    nodes.length > 0 && encrypted.length === clients.length,
    `the ring sees ${clients.length} connections, ${encrypted.length} of them by TLS, ${nodes.length} of the nodes' role`,
  );
  const [row] = await administrator.database(
    `SELECT count(*)::int AS "all", (count(*) FILTER (WHERE ssl))::int AS encrypted
       FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '${NODE}'`,
  );
  world.fact(
    Number(row?.all) > 0 && row?.all === row?.encrypted,
    `PostgreSQL sees ${row?.all} connections of the nodes' role, ${row?.encrypted} of them by TLS`,
  );
}
