import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createEngine } from "../engine.ts";
import { choosePorts, LOOPBACK } from "../ports.ts";
import type { Service, ServiceOptions } from "../service.ts";
import { askConsul, type ConsulAccess } from "./ask.ts";
import { renderConsul } from "./configuration.ts";

export interface ConsulOptions extends ServiceOptions {
  /** Laid over the rest of the configuration. */
  readonly fragment?: Readonly<Record<string, unknown>>;
  /** For the question whether it answers, where the fragment denies by default. */
  readonly token?: string;
}

export async function consulService(options: ConsulOptions): Promise<Service> {
  const { place, folder, authority, fragment = {}, token = "" } = options;
  const ports = await choosePorts([LOOPBACK], [8500, 8300, 8301], options.fixedPorts);
  const [httpPort, serverPort, gossipPort] = ports;
  const configFile = join(folder, "consul.json");
  await mkdir(folder, { recursive: true });
  const dataFolder = join(folder, "data");
  const certificate = await authority?.issue(folder, [LOOPBACK, "localhost"]);
  const configuration = renderConsul({ httpPort, serverPort, gossipPort, dataFolder, certificate, fragment });
  await writeFile(configFile, configuration, { mode: 0o600 });
  const address = `${authority === undefined ? "http" : "https"}://${LOOPBACK}:${httpPort}`;
  const access = { address, token, ...(authority && { ca: await readFile(authority.file, "utf8") }) };
  const engine = createEngine(
    {
      name: "consul",
      command: [place, "agent", "-config-file", configFile],
      folder,
      logFile: join(folder, "consul.log"),
      answers: () => led(access),
    },
    options.log,
  );
  const environment = {
    CONSUL_HTTP_ADDR: address,
    ...(token && { CONSUL_HTTP_TOKEN: token }),
    ...(authority && { MADANG_CONSUL_CA_FILE: authority.file }),
  };
  return { engines: [engine], environment, start: engine.start };
}

/** There is a leader, and it takes a write. */
async function led(access: ConsulAccess): Promise<void> {
  const ask = async (path: string, body?: string) => {
    const { status, text } = await askConsul(access, path, body);
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
    return text;
  };
  if ((await ask("/v1/status/leader")) === '""') throw new Error("no leader yet");
  if ((await ask("/v1/kv/madang-services/ready", "yes")).trim() !== "true") throw new Error("the write was refused");
}
