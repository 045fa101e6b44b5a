// One server, or three with routes between them, as in a data centre: what one of them is sent reaches who listens at another,
// and JetStream keeps its streams on all.

import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createEngine, type StartedEngine } from "../engine.ts";
import { choosePorts, LOOPBACK } from "../ports.ts";
import type { Service, ServiceOptions } from "../service.ts";
import { renderNats } from "./configuration.ts";

const ASK_WITHIN_MS = 1_000;

export interface NatsOptions extends ServiceOptions {
  readonly servers: 1 | 3;
  /** Further lines of the configuration. */
  readonly fragment?: string;
}

interface Ports {
  readonly port: number;
  readonly monitorPort: number;
  readonly routePort: number;
}

export async function natsService(options: NatsOptions): Promise<Service> {
  const { place, authority, fragment = "", servers } = options;
  const all = await serverPorts(servers, options.fixedPorts);
  const routes = servers === 1 ? [] : all.map(({ routePort }) => routePort);
  const engines: StartedEngine[] = [];
  for (const [at, { port, monitorPort, routePort }] of all.entries()) {
    const name = servers === 1 ? "nats" : `nats-${at + 1}`;
    const folder = servers === 1 ? options.folder : join(options.folder, name);
    await mkdir(folder, { recursive: true });
    const configFile = join(folder, "nats.conf");
    const certificate = await authority?.issue(folder, [LOOPBACK, "localhost"]);
    const storeFolder = join(folder, "jetstream");
    const configuration = { name, port, monitorPort, routePort, routes, storeFolder, certificate, fragment };
    await writeFile(configFile, renderNats(configuration), { mode: 0o600 });
    const answers = async () => {
      await greeted(port);
      await healthy(monitorPort);
    };
    const command = [place, "--config", configFile];
    engines.push(createEngine({ name, command, folder, logFile: join(folder, "nats.log"), answers }, options.log));
  }
  const scheme = authority === undefined ? "nats" : "tls";
  const environment = {
    NATS_URL: all.map(({ port }) => `${scheme}://${LOOPBACK}:${port}`).join(","),
    ...(servers > 1 && { MADANG_PUSH_REPLICAS: String(servers) }),
    ...(authority && { MADANG_NATS_CA_FILE: authority.file }),
  };
  return { engines, environment, start: async () => void (await Promise.all(engines.map((engine) => engine.start()))) };
}

/** Chosen all at once, so that no two are the same. */
async function serverPorts(servers: number, fixed: boolean): Promise<Ports[]> {
  const numbers = Array.from({ length: servers }, (_, at) => at);
  const ports = await choosePorts(
    [LOOPBACK],
    numbers.flatMap((at) => [4222 + at, 8222 + at, 6222 + at]),
    fixed,
  );
  return numbers.map((at) => {
    const [port, monitorPort, routePort] = ports.slice(at * 3) as [number, number, number];
    return { port, monitorPort, routePort };
  });
}

/** The server speaks first: `INFO {…}`, to everybody and in clear, and says whether JetStream is up. */
async function greeted(port: number): Promise<void> {
  const socket = connect({ host: LOOPBACK, port });
  try {
    const [chunk] = (await once(socket, "data", { signal: AbortSignal.timeout(ASK_WITHIN_MS) })) as [Buffer];
    const text = chunk.toString();
    if (!text.startsWith("INFO ") || !text.includes('"jetstream":true'))
      throw new Error(`it says ${text.slice(0, 80)}`);
  } finally {
    socket.destroy();
  }
}

/** Of several: JetStream has a leader among them, and this one has caught up with it. */
async function healthy(monitorPort: number): Promise<void> {
  const signal = AbortSignal.timeout(ASK_WITHIN_MS);
  const answer = await fetch(`http://${LOOPBACK}:${monitorPort}/healthz`, { signal });
  if (!answer.ok) throw new Error(await answer.text());
}
