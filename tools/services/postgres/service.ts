import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { Authority } from "../authority.ts";
import { run } from "../command.ts";
import { createEngine } from "../engine.ts";
import { choosePorts, LOOPBACK } from "../ports.ts";
import type { Service, ServiceOptions } from "../service.ts";
import { type PostgresTls, postgresArguments, tlsOnly } from "./configuration.ts";

const ASK_WITHIN_MS = 2_000;
/** The server refuses to run as root; Debian's package brings this user. */
const SERVER_USER = "postgres";

export async function postgresService(options: ServiceOptions): Promise<Service> {
  const { place, folder, authority } = options;
  const [port] = await choosePorts([LOOPBACK], [5432], options.fixedPorts);
  const user = process.getuid?.() === 0 ? SERVER_USER : undefined;
  const dataFolder = join(folder, "data");
  const passwordFile = join(folder, "password");
  await mkdir(folder, { recursive: true });
  const tls = authority === undefined ? undefined : await tlsBy(authority, folder, user);
  if (!existsSync(join(dataFolder, "PG_VERSION"))) {
    await writeFile(passwordFile, randomBytes(18).toString("base64url"), { mode: 0o600 });
    if (user !== undefined) await run(["chown", "-R", user, folder]);
    await run([...as(user), join(place, "initdb"), ...initArguments(dataFolder, passwordFile)], { folder });
  }
  const password = (await readFile(passwordFile, "utf8")).trim();
  const verified = authority === undefined ? "" : `?sslmode=verify-full&sslrootcert=${authority.file}`;
  const address = `postgres://madang:${password}@${LOOPBACK}:${port}/postgres${verified}`;
  const engine = createEngine(
    {
      name: "postgres",
      command: [join(place, "postgres"), ...postgresArguments(dataFolder, port, tls)],
      folder,
      logFile: join(folder, "postgres.log"),
      ...(user === undefined ? {} : { user }),
      stopSignal: "SIGINT", // SIGTERM would wait until the clients are gone
      discardSignal: "SIGQUIT", // a killed one leaves a piece of shared memory in the kernel
      answers: () => answered(address),
    },
    options.log,
  );
  return { engines: [engine], environment: { DATABASE_URL: address }, start: engine.start };
}

/** The server reads its key as its own user, and refuses one that others could read. */
async function tlsBy(authority: Authority, folder: string, user: string | undefined): Promise<PostgresTls> {
  const certificate = await authority.issue(folder, [LOOPBACK, "localhost"]);
  if (user !== undefined) await run(["chown", user, certificate]);
  const accessFile = join(folder, "access.conf");
  await writeFile(accessFile, tlsOnly);
  return { certificate, accessFile };
}

function initArguments(dataFolder: string, passwordFile: string): string[] {
  const encoding = ["--encoding=UTF8", "--locale=C.UTF-8"];
  return ["-D", dataFolder, "--username=madang", "--auth=scram-sha-256", `--pwfile=${passwordFile}`, ...encoding];
}

function as(user: string | undefined): string[] {
  return user === undefined ? [] : ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--init-groups", "--"];
}

async function answered(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: ASK_WITHIN_MS,
    query_timeout: ASK_WITHIN_MS,
  });
  client.on("error", () => undefined); // the rejected promise says it
  try {
    await client.connect();
    await client.query("SELECT 1");
  } finally {
    await client.end().catch(() => undefined);
  }
}
