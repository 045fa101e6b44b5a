// The nodes as engines, and the ring as a whole. A node has started when it answers and all running nodes see each other.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createEngine, type StartedEngine } from "../engine.ts";
import { servicesErrors } from "../errors.ts";
import { choosePorts, loopbackBlock } from "../ports.ts";
import type { Service, ServiceOptions } from "../service.ts";
import { javaArguments, logback, renderCassandra, ringTokens } from "./configuration.ts";
import { askNode, askRing, type NodeAddress, prepareRing } from "./readiness.ts";

/** Gossip finds everybody within seconds, and tells a returned node from a dead one within some ten. */
const RING_WITHIN_MS = 60_000;
const ASK_AGAIN_MS = 200;

export async function cassandraService(options: ServiceOptions & { readonly nodes: number }): Promise<Service> {
  const { place, folder, log } = options;
  const hosts = loopbackBlock(options.nodes, options.fixedPorts);
  const [port, storagePort] = await choosePorts(hosts, [9042, 7000], options.fixedPorts);
  const addresses = hosts.map((host): NodeAddress => ({ host, port }));
  const tokens = ringTokens(hosts.length);
  /** Set once the keyspace is there that the ring is asked with. */
  let prepared = false;
  const engines: StartedEngine[] = [];
  for (const [at, address] of addresses.entries()) {
    const name = `cassandra-${at + 1}`;
    const own = join(folder, name);
    const configFolder = join(own, "conf");
    await mkdir(configFolder, { recursive: true });
    const token = tokens[at] as bigint;
    // All are seeds: any of them may come back while another one is away.
    const yaml = renderCassandra({ address, seeds: hosts, token, storagePort, folder: own });
    await writeFile(join(configFolder, "cassandra.yaml"), yaml);
    await writeFile(join(configFolder, "logback.xml"), logback);
    const answers = async () => {
      await askNode(address);
      if (!prepared) return;
      const running = addresses.filter((_, other) => engines[other]?.state === "running");
      await askRing(running, addresses.length);
    };
    const command = ["java", ...javaArguments(place, configFolder, own)];
    engines.push(createEngine({ name, command, folder: own, logFile: join(own, "cassandra.log"), answers }, log));
  }
  return {
    engines,
    address: hosts.map((host) => `${host}:${port}`).join(","),
    async start() {
      await Promise.all(engines.map((engine) => engine.start()));
      await until(() => prepareRing(addresses));
      await until(() => askRing(addresses, addresses.length));
      prepared = true;
    },
  };
}

async function until(attempt: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + RING_WITHIN_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() >= deadline) {
        throw servicesErrors.NOT_READY({ message: `the nodes do not see each other: ${(error as Error).message}` });
      }
      await pause(ASK_AGAIN_MS);
    }
  }
}
