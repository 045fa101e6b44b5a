// The real engines, for tests and for development: NATS with JetStream, a Consul server, a Cassandra ring and PostgreSQL, on
// loopback, with data of their own. They end with the process that started them, however it ends (engine.ts, I1).

import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Authority } from "./authority.ts";
import { cacheFolder } from "./cache.ts";
import type { JavaCompilers } from "./cassandra/configuration.ts";
import { cassandraService } from "./cassandra/service.ts";
import { consulService } from "./consul/service.ts";
import type { Engine } from "./engine.ts";
import { addressVariables, type Environment, givenAddresses } from "./environment.ts";
import { servicesErrors } from "./errors.ts";
import { natsService } from "./nats/service.ts";
import { postgresService } from "./postgres/service.ts";
import { type EngineName, engineNames, provision } from "./provision.ts";
import type { Service, ServiceOptions } from "./service.ts";
import { throwAwayFolder } from "./throw-away.ts";

export { type Authority, createAuthority } from "./authority.ts";
export { askConsul } from "./consul/ask.ts";
export type { Engine } from "./engine.ts";
export type { EngineName } from "./provision.ts";

export interface ServicesOptions {
  /** All by default. */
  readonly only?: readonly EngineName[];
  /** 3 by default: replicas, quorums and hints are real. 1 takes a third of the memory. */
  readonly cassandraNodes?: 1 | 3;
  /** Of Java, that Cassandra is run with: "first" by default, which starts soon; "both" is for who warms it up and measures. */
  readonly cassandraCompilers?: JavaCompilers;
  /** The ports that everybody knows (4222, 8500, 9042, 5432) instead of free ones. */
  readonly fixedPorts?: boolean;
  /** Kept, and used again at the next start. By default the data is thrown away at the end. */
  readonly dataFolder?: string;
  /** 1 by default. Of 3 each has routes to the others, and JetStream keeps three replicas. */
  readonly natsServers?: 1 | 3;
  /** Further lines for nats-server's configuration file, for instance users with allow-lists. */
  readonly natsConfig?: string;
  /** Laid over Consul's configuration, for instance `{ acl: { enabled: true, default_policy: "deny", tokens: … } }`. */
  readonly consulConfig?: Readonly<Record<string, unknown>>;
  /** For the question whether Consul answers, when `consulConfig` denies by default. */
  readonly consulToken?: string;
  /**
   * Signs a certificate for each engine. They speak TLS alone then, and Cassandra asks for name and password, as PostgreSQL
   * does anyway; of NATS and Consul `natsConfig` and `consulConfig` say who is let in.
   */
  readonly authority?: Authority;
  /**
   * Addresses in here are used, and those engines are not started: `process.env` by default. A test that kills needs engines
   * of its own, and gives `{}`.
   */
  readonly given?: Environment;
  /** One line about what happens, without its end. */
  readonly log?: (line: string) => void;
}

/** An engine that was not started here (not asked for, or given by its address) throws NOT_STARTED when it is touched. */
export interface Services {
  /**
   * NATS_URL, CONSUL_HTTP_ADDR, CQL_CONTACT_POINTS (host:port,host:port), DATABASE_URL: those that were asked for. With an
   * authority also its file, and with what its owner is let in: a user of NATS is for `natsConfig` to name.
   */
  readonly environment: Readonly<Record<string, string>>;
  readonly nats: readonly Engine[];
  readonly consul: Engine;
  readonly cassandra: readonly Engine[];
  readonly postgres: Engine;
  /** Ends all that was started, and removes the data unless it is kept. */
  stop(): Promise<void>;
}

/** Lays down what is missing, and starts it; resolves when each engine has answered a real request. */
export async function startServices(options: ServicesOptions = {}): Promise<Services> {
  const { only = engineNames, log = () => undefined } = options;
  const given = givenAddresses(only, options.given ?? process.env);
  const own = only.filter((name) => given[addressVariables[name]] === undefined);
  const places = await provision(own, cacheFolder(), log);
  const throwAway = options.dataFolder === undefined ? await throwAwayFolder() : undefined;
  const folder = throwAway?.path ?? resolve(options.dataFolder as string);
  await mkdir(folder, { recursive: true });

  const services = new Map<EngineName, Service>();
  const stop = async () => {
    const engines = [...services.values()].flatMap((service) => service.engines);
    await Promise.all(engines.map((engine) => (throwAway === undefined ? engine.stop() : engine.discard())));
    await throwAway?.remove();
  };
  const start = async (name: EngineName) => {
    const startedMs = performance.now();
    const place = places[name] as string;
    const service = await makers[name](
      { place, folder: join(folder, name), fixedPorts: options.fixedPorts ?? false, log, authority: options.authority },
      options,
    );
    services.set(name, service);
    await service.start();
    log(`${name} answers (${((performance.now() - startedMs) / 1_000).toFixed(1)} s)`);
  };
  const starts = await Promise.allSettled(
    own.map((name) =>
      start(name).catch((error: unknown) => {
        log(`${name} does not start, so what else was started is ended: ${String(error).split("\n", 1)[0]}`);
        throw error;
      }),
    ),
  );
  const failed = starts.find((start) => start.status === "rejected");
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }

  const engines = (name: EngineName): readonly Engine[] => {
    const service = services.get(name);
    if (service !== undefined) return service.engines;
    throw servicesErrors.NOT_STARTED({ message: `${name} was not started here, so it cannot be handled here` });
  };
  return {
    environment: Object.assign({}, given, ...[...services.values()].map(({ environment }) => environment)),
    get nats() {
      return engines("nats");
    },
    get consul() {
      return engines("consul")[0] as Engine;
    },
    get cassandra() {
      return engines("cassandra");
    },
    get postgres() {
      return engines("postgres")[0] as Engine;
    },
    stop,
  };
}

type Maker = (service: ServiceOptions, options: ServicesOptions) => Promise<Service>;

const makers: Readonly<Record<EngineName, Maker>> = {
  nats: (service, { natsServers = 1, natsConfig }) =>
    natsService({ ...service, servers: natsServers, ...(natsConfig && { fragment: natsConfig }) }),
  consul: (service, { consulConfig, consulToken }) =>
    consulService({
      ...service,
      ...(consulConfig && { fragment: consulConfig }),
      ...(consulToken && { token: consulToken }),
    }),
  cassandra: (service, { cassandraNodes = 3, cassandraCompilers }) =>
    cassandraService({ ...service, nodes: cassandraNodes, compilers: cassandraCompilers }),
  postgres: (service) => postgresService(service),
};
