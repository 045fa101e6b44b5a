// Where an engine is, in the variables that the rest of the house reads. A variable that is set is somebody's running engine:
// it is used, and none is started in its place.

import type { EngineName } from "./provision.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export const addressVariables: Readonly<Record<EngineName, string>> = {
  nats: "NATS_URL",
  consul: "CONSUL_HTTP_ADDR",
  cassandra: "CQL_CONTACT_POINTS",
  postgres: "DATABASE_URL",
};

/** The addresses that are set already, of the engines that are asked for. */
export function givenAddresses(engines: readonly EngineName[], environment: Environment): Record<string, string> {
  const names = engines.map((engine) => addressVariables[engine]);
  return Object.fromEntries(names.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])));
}

/** Lines that a shell reads. Addresses of ours need no quotes, given ones may. */
export function exportLines(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'\n`)
    .join("");
}
