import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createEngine } from "../engine.ts";
import { choosePorts, LOOPBACK } from "../ports.ts";
import type { Service, ServiceOptions } from "../service.ts";
import { renderNats } from "./configuration.ts";

const ASK_WITHIN_MS = 1_000;

export async function natsService(options: ServiceOptions & { readonly fragment?: string }): Promise<Service> {
  const { place, folder, authority, fragment = "" } = options;
  const [port, monitorPort] = await choosePorts([LOOPBACK], [4222, 8222], options.fixedPorts);
  const configFile = join(folder, "nats.conf");
  await mkdir(folder, { recursive: true });
  const certificate = await authority?.issue(folder, [LOOPBACK, "localhost"]);
  const storeFolder = join(folder, "jetstream");
  const configuration = renderNats({ port, monitorPort, storeFolder, certificate, fragment });
  await writeFile(configFile, configuration, { mode: 0o600 });
  const engine = createEngine(
    {
      name: "nats",
      command: [place, "--config", configFile],
      folder,
      logFile: join(folder, "nats.log"),
      answers: () => greeted(port),
    },
    options.log,
  );
  const environment = {
    NATS_URL: `${authority === undefined ? "nats" : "tls"}://${LOOPBACK}:${port}`,
    ...(authority && { MADANG_NATS_CA_FILE: authority.file }),
  };
  return { engines: [engine], environment, start: engine.start };
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
