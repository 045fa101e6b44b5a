import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createEngine } from "../engine.ts";
import { choosePorts, LOOPBACK } from "../ports.ts";
import type { Service, ServiceOptions } from "../service.ts";
import { renderConsul } from "./configuration.ts";

export interface ConsulOptions extends ServiceOptions {
  /** Laid over the rest of the configuration. */
  readonly fragment?: Readonly<Record<string, unknown>>;
  /** For the question whether it answers, where the fragment denies by default. */
  readonly token?: string;
}

const ASK_WITHIN_MS = 1_000;

export async function consulService(options: ConsulOptions): Promise<Service> {
  const { place, folder, fragment = {}, token } = options;
  const ports = await choosePorts([LOOPBACK], [8500, 8300, 8301], options.fixedPorts);
  const [httpPort, serverPort, gossipPort] = ports;
  const configFile = join(folder, "consul.json");
  await mkdir(folder, { recursive: true });
  const dataFolder = join(folder, "data");
  const configuration = renderConsul({ httpPort, serverPort, gossipPort, dataFolder, fragment });
  await writeFile(configFile, configuration, { mode: 0o600 });
  const address = `http://${LOOPBACK}:${httpPort}`;
  const engine = createEngine(
    {
      name: "consul",
      command: [place, "agent", "-config-file", configFile],
      folder,
      logFile: join(folder, "consul.log"),
      answers: () => led(address, token),
    },
    options.log,
  );
  return { engines: [engine], address, start: engine.start };
}

/** There is a leader, and it takes a write. */
async function led(url: string, token: string | undefined): Promise<void> {
  const headers = token === undefined ? {} : { "x-consul-token": token };
  const ask = async (path: string, body?: string) => {
    const signal = AbortSignal.timeout(ASK_WITHIN_MS);
    const request = body === undefined ? { headers, signal } : { method: "PUT", body, headers, signal };
    const answer = await fetch(url + path, request);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return text;
  };
  if ((await ask("/v1/status/leader")) === '""') throw new Error("no leader yet");
  if ((await ask("/v1/kv/madang-services/ready", "yes")).trim() !== "true") throw new Error("the write was refused");
}
