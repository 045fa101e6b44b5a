// The engines under the hands of the fault tests, and the end of a supervisor.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connect } from "@nats-io/transport-node";
import cassandra from "cassandra-driver";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { cacheFolder } from "./cache.ts";
import { type Engine, type Services, startServices } from "./index.ts";
import { alive } from "./left-behind.ts";
import { engineNames, provision } from "./provision.ts";

/** Consul alone is built for minutes, once. */
const PROVISION_WITHIN_MS = 900_000;
/** What a busy machine takes for a ring (engine.ts). */
const START_WITHIN_MS = 300_000;
const GONE_WITHIN_MS = 5_000;

beforeAll(() => provision(engineNames, cacheFolder(), () => undefined).then(() => undefined), PROVISION_WITHIN_MS);

/** Silence, a closed port and a missing replica fail each in their own words. */
const outcome = (request: Promise<unknown>) =>
  request.then(
    () => "answered",
    () => "refused",
  );

async function gone(pids: readonly number[]): Promise<void> {
  const deadline = Date.now() + GONE_WITHIN_MS;
  while (pids.some(alive) && Date.now() < deadline) await pause(20);
  expect(pids.filter(alive)).toEqual([]);
}

function descendants(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

const dataFolders = (pid: number) => readdirSync(tmpdir()).filter((name) => name.startsWith(`madang-services-${pid}-`));

describe("the supervisor", () => {
  const cli = fileURLToPath(new URL("main.ts", import.meta.url));
  const environment = { PATH: process.env.PATH, HOME: process.env.HOME, MADANG_CACHE: cacheFolder() };
  let supervisor: ChildProcess;

  const launch = (...argv: string[]) => {
    supervisor = spawn(process.execPath, ["--import", "tsx", cli, ...argv], {
      env: environment,
      stdio: ["ignore", "pipe", "inherit"],
    });
    return supervisor;
  };
  const firstLine = async (child: ChildProcess) => {
    if (child.stdout === null) throw new Error("the supervisor has no output");
    return ((await once(createInterface({ input: child.stdout }), "line")) as [string])[0];
  };
  afterEach(() => supervisor.kill("SIGKILL"));

  test("takes its engines with it when it is killed, and the next one removes what it left", async () => {
    const killed = launch("--only", "nats,postgres");
    await firstLine(killed);
    const engines = descendants(killed.pid as number);
    expect(engines.length).toBeGreaterThan(2); // PostgreSQL is several processes
    killed.kill("SIGKILL");
    await gone(engines);
    expect(dataFolders(killed.pid as number)).toHaveLength(1);

    const next = launch("--only", "nats");
    await firstLine(next);
    expect(dataFolders(killed.pid as number)).toEqual([]);
  });

  test.each(["SIGINT", "SIGTERM"] as const)("ends its engines and removes their data at %s", async (signal) => {
    const child = launch("--only", "nats");
    expect(await firstLine(child)).toMatch(/^export NATS_URL='nats:\/\/127\.0\.0\.1:\d+'$/);
    const engines = descendants(child.pid as number);
    const exited = once(child, "exit");
    child.kill(signal);
    expect(await exited).toEqual([0, null]);
    await gone(engines);
    expect(dataFolders(child.pid as number)).toEqual([]);
  });

  test("leaves nothing behind when it is told to end in the middle of a start", async () => {
    const child = launch("--only", "nats,consul,postgres");
    const exited = once(child, "exit");
    while (descendants(child.pid as number).length < 2) await pause(5);
    const engines = descendants(child.pid as number);
    child.kill("SIGTERM");
    expect(await exited).toEqual([143, null]);
    await gone(engines);
    expect(dataFolders(child.pid as number)).toEqual([]);
  });

  test("runs a command with the addresses, and ends with its exit code", async () => {
    const child = launch("--only", "nats", "--", "sh", "-c", 'echo "$NATS_URL"; exit 7');
    const exited = once(child, "exit");
    expect(await firstLine(child)).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/);
    expect(await exited).toEqual([7, null]);
    expect(dataFolders(child.pid as number)).toEqual([]);
  });

  test("does not start an engine whose address is given", async () => {
    const services = await startServices({ only: ["nats"], given: { NATS_URL: "nats://there:4222" } });
    expect(services.environment).toEqual({ NATS_URL: "nats://there:4222" });
    expect(() => services.nats).toThrow("nats was not started here");
    await services.stop();
  });
});

describe("an engine", () => {
  let services: Services;
  beforeAll(async () => {
    services = await startServices({ only: ["nats", "consul", "postgres"], given: {} });
  }, START_WITHIN_MS);
  afterAll(() => services?.stop());

  const ask = {
    async nats() {
      const answer = await fetch(monitorUrl(), { signal: AbortSignal.timeout(1_000) });
      expect(await answer.json()).toMatchObject({ status: "ok" });
    },
    async consul() {
      const url = `${services.environment.CONSUL_HTTP_ADDR}/v1/kv/kept?raw`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
      expect(await answer.text()).toBe("yes");
    },
    async postgres() {
      const client = new pg.Client({
        connectionString: services.environment.DATABASE_URL,
        connectionTimeoutMillis: 1_000,
      });
      client.on("error", () => undefined);
      try {
        await client.connect();
        expect((await client.query("SELECT word FROM kept")).rows).toEqual([{ word: "yes" }]);
      } finally {
        await client.end();
      }
    },
  };
  const monitorUrl = () => {
    const log = readFileSync(services.nats[0]?.logFile ?? "", "utf8");
    return `${/Starting http monitor on (\S+)/.exec(log)?.[1]?.replace(/^/, "http://")}/healthz`;
  };
  const keep = {
    nats: async () => undefined,
    async consul() {
      await fetch(`${services.environment.CONSUL_HTTP_ADDR}/v1/kv/kept`, { method: "PUT", body: "yes" });
    },
    async postgres() {
      const client = new pg.Client({ connectionString: services.environment.DATABASE_URL });
      await client.connect();
      await client.query("CREATE TABLE kept AS SELECT 'yes'::text AS word");
      await client.end();
    },
  };

  test.each(["nats", "consul", "postgres"] as const)(
    "%s: paused it is silent, resumed it answers, killed it is gone, started it has its data",
    async (name) => {
      const engine = name === "nats" ? (services.nats[0] as Engine) : services[name];
      await keep[name]();
      await ask[name]();

      engine.pause();
      expect(engine.state).toBe("paused");
      expect(await outcome(ask[name]())).toBe("refused");
      engine.resume();
      await ask[name]();

      const before = [engine.pid, ...descendants(engine.pid)];
      await engine.kill();
      await gone(before);
      expect(engine.state).toBe("stopped");
      expect(() => engine.pid).toThrow("is not running");
      expect(await outcome(ask[name]())).toBe("refused");

      await engine.start();
      expect(before).not.toContain(engine.pid);
      await ask[name]();

      engine.pause();
      const paused = [engine.pid, ...descendants(engine.pid)];
      await engine.kill();
      await gone(paused);
      await engine.start();
      await ask[name]();
    },
  );

  test("a log of all its lives is kept beside its data", () => {
    expect(existsSync(services.postgres.logFile)).toBe(true);
  });
});

describe("a configuration of one's own", () => {
  test("gives NATS its users: others are turned away", async () => {
    const natsConfig = `authorization { users: [{ user: "node", password: "secret", permissions: { publish: "a.>" } }] }`;
    const services = await startServices({ only: ["nats"], given: {}, natsConfig });
    try {
      const servers = services.environment.NATS_URL as string;
      await expect(connect({ servers })).rejects.toThrow("Authorization Violation");
      const allowed = await connect({ servers, user: "node", pass: "secret" });
      await allowed.close();
    } finally {
      await services.stop();
    }
  });

  test("lets Consul deny by default: without the token nothing is read", async () => {
    const consulToken = "7a1d3c5e-0000-4000-8000-000000000001";
    const acl = { enabled: true, default_policy: "deny", tokens: { initial_management: consulToken } };
    const services = await startServices({ only: ["consul"], given: {}, consulConfig: { acl }, consulToken });
    try {
      const url = `${services.environment.CONSUL_HTTP_ADDR}/v1/kv/madang-services/ready`;
      expect((await fetch(url)).status).toBe(403);
      expect((await fetch(url, { headers: { "x-consul-token": consulToken } })).status).toBe(200);
    } finally {
      await services.stop();
    }
  });
});

describe("a paused engine", () => {
  test("does not outlive its supervisor, nor do its children", async () => {
    const door = new URL("index.ts", import.meta.url).href;
    const program = `
      const { startServices } = await import(${JSON.stringify(door)});
      const services = await startServices({ only: ["postgres"], given: {} });
      const pid = services.postgres.pid;
      services.postgres.pause();
      console.log(pid);`;
    const owner = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(createInterface({ input: owner.stdout }), "line")) as [string];
    const engines = [Number(line), ...descendants(Number(line))];
    expect(engines.length).toBeGreaterThan(2);
    owner.kill("SIGKILL");
    await gone(engines);
  });
});

describe("a ring of three", () => {
  let services: Services;
  let client: cassandra.Client;
  beforeAll(async () => {
    services = await startServices({ only: ["cassandra"], given: {} });
    client = new cassandra.Client({
      contactPoints: (services.environment.CQL_CONTACT_POINTS as string).split(","),
      localDataCenter: "datacenter1",
    });
    await client.connect();
    await client.execute("CREATE KEYSPACE k WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3}");
    await client.execute("CREATE TABLE k.kept (id int PRIMARY KEY)");
  }, START_WITHIN_MS);
  afterAll(async () => {
    await client?.shutdown();
    await services?.stop();
  });

  const write = (id: number, consistency: cassandra.types.consistencies) =>
    client.execute("INSERT INTO k.kept (id) VALUES (?)", [id], { prepare: true, consistency, isIdempotent: true });
  /** Machines that are busy time out writes that they could do: what is possible succeeds in the end. */
  const writes = (id: number, consistency: cassandra.types.consistencies) =>
    vi.waitFor(() => write(id, consistency), { timeout: 30_000, interval: 500 });
  const { all, quorum } = cassandra.types.consistencies;

  test(
    "keeps its quorum without one node, and is whole again when that one is back",
    async () => {
      const [, second] = services.cassandra;
      await writes(1, all);
      await second?.kill();
      await writes(2, quorum);
      expect(await outcome(write(3, all))).toBe("refused");
      await second?.start();
      await writes(4, all);
    },
    START_WITHIN_MS,
  );

  test(
    "a node that is started while another one is away answers, and sees those that are there",
    async () => {
      const [first, second, third] = services.cassandra;
      await third?.kill();
      await first?.kill();
      await first?.start();
      await writes(5, quorum);
      await third?.start();
      await writes(6, all);
      expect([first, second, third].map((node) => node?.state)).toEqual(["running", "running", "running"]);
    },
    START_WITHIN_MS,
  );
});
