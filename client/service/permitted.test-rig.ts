// A NATS server of its own that runs deploy/nats/permissions.conf, for the cluster that the file names.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { startServices } from "../../tools/services/index.ts";

export const permissions = readFileSync(new URL("../../deploy/nats/permissions.conf", import.meta.url), "utf8");
/** As the file says. */
export const cluster = "prod";
export type User = "node" | "bot" | "auditor";

export interface PermittedNats {
  readonly url: string;
  readonly passwords: Readonly<Record<User, string>>;
  stop(): Promise<void>;
}

export async function startPermittedNats(): Promise<PermittedNats> {
  const passwords = { node: randomUUID(), bot: randomUUID(), auditor: randomUUID() };
  // The server reads them from the environment that it inherits; in quotes, as the file says.
  for (const [user, password] of Object.entries(passwords)) {
    process.env[`NATS_${user.toUpperCase()}_PASSWORD`] = JSON.stringify(password);
  }
  const services = await startServices({ only: ["nats"], given: {}, natsConfig: permissions });
  return { url: services.environment.NATS_URL as string, passwords, stop: () => services.stop() };
}
