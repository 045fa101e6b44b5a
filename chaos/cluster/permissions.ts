// deploy/nats/permissions.conf for a server that runs it, with passwords of this run.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** As the files in deploy/ name it. */
export const PERMITTED_CLUSTER = "prod";
export type NatsUser = "node" | "bot" | "auditor";

/** Of the sources, also for the compiled program. */
export const root = fileURLToPath(new URL(import.meta.url.endsWith(".js") ? "../../../" : "../../", import.meta.url));

export interface Permissions {
  readonly natsConfig: string;
  readonly passwords: Readonly<Record<NatsUser, string>>;
}

export async function natsPermissions(): Promise<Permissions> {
  const passwords = { node: randomUUID(), bot: randomUUID(), auditor: randomUUID() };
  // The server reads them from the environment that it inherits; in quotes, as the file says.
  for (const [user, password] of Object.entries(passwords)) {
    process.env[`NATS_${user.toUpperCase()}_PASSWORD`] = JSON.stringify(password);
  }
  return { natsConfig: await readFile(join(root, "deploy/nats/permissions.conf"), "utf8"), passwords };
}

/** The same address, with a name and a password in it. */
export function withUser(url: string, user: string, password: string): string {
  const changed = new URL(url);
  changed.username = user;
  changed.password = password;
  return changed.href;
}
