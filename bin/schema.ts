// `madang schema apply`: makes the tables of a cluster, or brings them to this version. Safe to run twice, and at once.

import { ringAddress } from "../assembly/addresses.ts";
import { ConfigError, resolveConfig } from "../cluster.config.ts";
import { systemClock as clock, MadangError, silentLogger } from "../runtime/index.ts";
import { applyAccountsSchema } from "../storage/accounts/index.ts";
import { applyCqlSchema } from "../storage/index.ts";

const usage = `usage: madang schema apply
Reads CQL_CONTACT_POINTS and DATABASE_URL, as a node does; either may be left out.
`;

export async function schema(args: readonly string[]): Promise<void> {
  if (args.length !== 1 || args[0] !== "apply") {
    process.stderr.write(usage);
    process.exitCode = 2;
    return;
  }
  try {
    const config = resolveConfig(process.env);
    if (config.cql.contactPoints.length === 0 && config.postgres.url === "") {
      throw new ConfigError("Neither CQL_CONTACT_POINTS nor DATABASE_URL is set: there is nothing to make tables in.");
    }
    if (config.cql.contactPoints.length > 0) {
      const { from, to } = await applyCqlSchema({ ...ringAddress(config), clock, settings: config.storage });
      say(`keyspace ${config.cql.keyspace}`, from, to);
    }
    if (config.postgres.url !== "") {
      const { url, ...settings } = config.postgres;
      const { from, to } = await applyAccountsSchema({ url, clock, log: silentLogger, settings });
      say("accounts", from, to);
    }
  } catch (error) {
    const known = error instanceof MadangError || error instanceof ConfigError;
    if (!known) throw error;
    process.stderr.write(`madang schema: ${error instanceof MadangError ? `${error.code}: ` : ""}${error.message}\n`);
    process.exitCode = error instanceof ConfigError ? 2 : 1;
  }
}

function say(what: string, from: number, to: number): void {
  const done = from === to ? "was there already" : `was ${from === 0 ? "not there" : `of version ${from}`}`;
  process.stdout.write(`${what}: version ${to} (${done})\n`);
}
