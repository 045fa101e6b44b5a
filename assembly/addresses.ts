// From settings to the addresses of servers, with what it takes to be let in: for nodes, and for the command line.

import { readFileSync } from "node:fs";
import type { ClusterConfig } from "../cluster.config.ts";
import type { ConsulOptions } from "../runtime/index.ts";
import type { RingAddress } from "../storage/index.ts";

/** Where Consul is, for whoever asks it. */
export function consulAddress({ consul }: ClusterConfig): Pick<ConsulOptions, "address" | "token" | "ca"> {
  return {
    address: consul.address.includes("://") ? consul.address : `http://${consul.address}`,
    ...(consul.token === "" ? {} : { token: consul.token }),
    ...(consul.caFile === "" ? {} : { ca: readFileSync(consul.caFile, "utf8") }),
  };
}

/** Where the ring is, for whoever opens it. */
export function ringAddress({ cql }: ClusterConfig): RingAddress {
  return {
    contactPoints: cql.contactPoints,
    keyspace: cql.keyspace,
    ...(cql.dataCenter === "" ? {} : { localDataCenter: cql.dataCenter }),
    ...(cql.user === "" ? {} : { credentials: { username: cql.user, password: cql.password } }),
    ...(cql.caFile === "" ? {} : { tls: { ca: readFileSync(cql.caFile) } }),
    translate: new Map(cql.translate.map((pair) => pair.split("=") as [string, string])),
  };
}
