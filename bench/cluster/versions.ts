// The engines' own word for what they are.

import { connect } from "@nats-io/transport-node";
import pg from "pg";
import { openRing } from "./ring.ts";

export async function versionsOf(environment: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const nats = await connect({ servers: URL.parse(environment.NATS_URL ?? "")?.host ?? "" });
  const ring = await openRing(environment.CQL_CONTACT_POINTS ?? "");
  const postgres = new pg.Client({ connectionString: environment.DATABASE_URL });
  await postgres.connect();
  try {
    const members = await ring.execute("SELECT release_version FROM system.local");
    const self = await fetch(`${environment.CONSUL_HTTP_ADDR}/v1/agent/self`);
    const { Config } = (await self.json()) as { Config: { Version: string } };
    const shown = await postgres.query("show server_version");
    return {
      "nats-server": nats.info?.version ?? "",
      Cassandra: `${members.rows[0]?.get("release_version")} (${ring.hosts.length} members on the same machine)`,
      Consul: Config.Version,
      PostgreSQL: String(shown.rows[0]?.server_version).split(" ")[0] as string,
    };
  } finally {
    await Promise.all([nats.close(), ring.shutdown(), postgres.end()]);
  }
}
