// The nodes as engines, and the ring as a whole. A node has started when it answers and all running nodes see each other.

import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createEngine, type StartedEngine } from "../engine.ts";
import { servicesErrors } from "../errors.ts";
import { choosePorts, loopbackBlock } from "../ports.ts";
import type { Service, ServiceOptions } from "../service.ts";
import { type JavaCompilers, logback, memberCommand, renderCassandra, ringTokens, superuser } from "./configuration.ts";
import { askNode, askRing, type NodeAddress, type RingAccess } from "./readiness.ts";

/** Gossip finds everybody within seconds, and tells a returned node from a dead one within some ten; on busy cores later. */
const RING_WITHIN_MS = 120_000;
const ASK_AGAIN_MS = 200;

/** CQL, and what the nodes speak with each other. */
const FIXED = [9042, 7000] as const;

export interface CassandraOptions extends ServiceOptions {
  readonly nodes: number;
  readonly compilers?: JavaCompilers | undefined;
}

export async function cassandraService(options: CassandraOptions): Promise<Service> {
  const { place, authority, log } = options;
  // Kept data is that of a ring of this size: another size is another ring.
  const folder = join(options.folder, `ring-of-${options.nodes}`);
  const { hosts, port, storagePort } = await keptAddresses(join(folder, "addresses.json"), options);
  const addresses = hosts.map((host): NodeAddress => ({ host, port }));
  const certificate = await authority?.issue(folder, [...hosts, "localhost"]);
  const access: RingAccess =
    authority === undefined
      ? {}
      : { credentials: superuser, sslOptions: { ca: await readFile(authority.file), rejectUnauthorized: true } };
  const tokens = ringTokens(hosts.length);
  /** Set after the first start, of which a single node cannot say when it is over. */
  let whole = false;
  const engines: StartedEngine[] = [];
  for (const [at, address] of addresses.entries()) {
    const name = `cassandra-${at + 1}`;
    const own = join(folder, name);
    const configFolder = join(own, "conf");
    await mkdir(configFolder, { recursive: true });
    const token = tokens[at] as bigint;
    // All are seeds: any of them may come back while another one is away.
    const yaml = renderCassandra({ address, seeds: hosts, token, storagePort, folder: own, certificate });
    await writeFile(join(configFolder, "cassandra.yaml"), yaml);
    await writeFile(join(configFolder, "logback.xml"), logback);
    const answers = async () => {
      await askNode(address, access);
      if (!whole) return;
      const running = addresses.filter((_, other) => engines[other]?.state === "running");
      await askRing(running, access);
    };
    const command = memberCommand(place, configFolder, own, options.compilers);
    engines.push(createEngine({ name, command, folder: own, logFile: join(own, "cassandra.log"), answers }, log));
  }
  return {
    engines,
    environment: {
      CQL_CONTACT_POINTS: hosts.map((host) => `${host}:${port}`).join(","),
      ...(authority && {
        MADANG_CQL_USER: superuser.username,
        MADANG_CQL_PASSWORD: superuser.password,
        MADANG_CQL_CA_FILE: authority.file,
      }),
    },
    async start() {
      await Promise.all(engines.map((engine) => engine.start()));
      await until(() => askRing(addresses, access));
      whole = true;
    },
  };
}

interface RingAddresses {
  readonly hosts: readonly string[];
  readonly port: number;
  readonly storagePort: number;
}

/** Kept data knows its nodes by their addresses, so these are kept with it. */
async function keptAddresses(file: string, options: CassandraOptions): Promise<RingAddresses> {
  if (existsSync(file)) {
    const kept = JSON.parse(await readFile(file, "utf8")) as RingAddresses;
    await choosePorts(kept.hosts, [kept.port, kept.storagePort], true);
    return kept;
  }
  const hosts = loopbackBlock(options.nodes, options.fixedPorts);
  const [port, storagePort] = await choosePorts(hosts, FIXED, options.fixedPorts);
  const addresses = { hosts, port, storagePort };
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify(addresses));
  return addresses;
}

async function until(attempt: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + RING_WITHIN_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() >= deadline) {
        throw servicesErrors.NOT_READY({ message: `the nodes do not become one ring: ${(error as Error).message}` });
      }
      await pause(ASK_AGAIN_MS);
    }
  }
}
