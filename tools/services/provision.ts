// Lays down the engines that are asked for, each once: what is in the cache stays, and a changed pin is built anew.

import { cassandraLibraries } from "./cassandra/provision.ts";
import { requireProgram } from "./command.ts";
import { servicesErrors } from "./errors.ts";
import { goProgram } from "./go.ts";
import { postgresPrograms } from "./postgres/provision.ts";

export const engineNames = ["nats", "consul", "cassandra", "postgres"] as const;
export type EngineName = (typeof engineNames)[number];

/** Where the programs of the engines lie; only those that were asked for. */
export interface Provisioned {
  readonly nats?: string;
  readonly consul?: string;
  readonly cassandra?: string;
  readonly postgres?: string;
}

const STILL_EVERY_MS = 30_000;

type Layer = (cache: string) => Promise<{ readonly place: string; readonly built: boolean }>;

/** In the order in which they are started: the longest one first. */
const layers: Readonly<Record<EngineName, { readonly how: string; readonly lay: Layer }>> = {
  consul: {
    how: "Consul is built, which takes some minutes",
    lay: async (cache) => {
      const { program, built } = await goProgram(cache, "consul", "github.com/hashicorp/consul");
      return { place: program, built };
    },
  },
  nats: {
    how: "nats-server is built",
    lay: async (cache) => {
      const { program, built } = await goProgram(cache, "nats", "github.com/nats-io/nats-server/v2");
      return { place: program, built };
    },
  },
  cassandra: {
    how: "Cassandra's libraries are fetched",
    lay: async (cache) => {
      const { libraries, built } = await cassandraLibraries(cache);
      return { place: libraries, built };
    },
  },
  postgres: {
    how: "PostgreSQL is installed",
    lay: async () => {
      const { programs, built } = await postgresPrograms();
      return { place: programs, built };
    },
  },
};

export async function provision(
  engines: readonly EngineName[],
  cache: string,
  log: (line: string) => void,
): Promise<Provisioned> {
  if (process.platform !== "linux") {
    throw servicesErrors.TOOL_MISSING({
      message:
        "the engines are started on Linux only; elsewhere deploy/compose.yaml starts them, and their addresses come by NATS_URL, CONSUL_HTTP_ADDR, CQL_CONTACT_POINTS and DATABASE_URL",
    });
  }
  requireProgram("setpriv", "it is part of util-linux (Debian: apt-get install util-linux)");
  const asked = (Object.keys(layers) as EngineName[]).filter((name) => engines.includes(name));
  const laid = await Promise.all(asked.map(async (name) => [name, await layDown(name, cache, log)] as const));
  return Object.fromEntries(laid);
}

async function layDown(name: EngineName, cache: string, log: (line: string) => void): Promise<string> {
  const startedMs = performance.now();
  const seconds = () => `${((performance.now() - startedMs) / 1_000).toFixed(0)} s`;
  // What is there already is there at once, and not worth a line.
  const first = setTimeout(() => log(`${layers[name].how} …`), 500);
  const still = setInterval(() => log(`${layers[name].how} … ${seconds()}`), STILL_EVERY_MS);
  try {
    const { place, built } = await layers[name].lay(cache);
    if (built) log(`${name} is laid down (${seconds()})`);
    return place;
  } finally {
    clearTimeout(first);
    clearInterval(still);
  }
}
