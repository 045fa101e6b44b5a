// All settings in one place. Each has a default and, where it is a limit, its reason (in the file of the folder that it
// belongs to). An environment variable overrides each: MADANG_<SECTION>_<SETTING>, such as MADANG_CHAT_GROUP_MEMBERS_MAX.
// A variable that names no setting, or holds a value that cannot be meant, stops the start.

import { readFileSync } from "node:fs";
import { type ChatSettings, chatDefaults } from "./actors/index.ts";
import { type TracingSettings, tracingDefaults } from "./assembly/tracing.ts";
import { type GatewaySettings, gatewayDefaults, type HttpSettings, httpDefaults } from "./gateway/index.ts";
import { type PushSettings, pushDefaults } from "./push/index.ts";
import {
  type NatsSettings,
  natsDefaults,
  type PlacementSettings,
  placementDefaults,
  type RuntimeSettings,
  runtimeDefaults,
} from "./runtime/index.ts";
import { type PostgresSettings, postgresDefaults } from "./storage/accounts/index.ts";
import { type StorageSettings, storageDefaults } from "./storage/index.ts";

export interface NodeSettings {
  /** Folder of the embedded stores. MADANG_DATA */
  readonly data: string;
  readonly host: string;
  /** 0 picks a free port. MADANG_HTTP_PORT, MADANG_WS_PORT */
  readonly httpPort: number;
  readonly wsPort: number;
  /** WebSocket address that discovery tells clients; empty: made from host and port. */
  readonly wsUrl: string;
  /** trace, debug, info, warn, error, silent. MADANG_LOG_LEVEL */
  readonly logLevel: string;
  /** Prints one JSON line with the addresses when ready. MADANG_READY_JSON=1 */
  readonly readyJson: boolean;
  /** How long a stop may take before what is left is cut. */
  readonly stopWithinMs: number;
}

export interface ClusterSettings {
  /** Empty: one node on embedded stores, without any server beside it. MADANG_CLUSTER */
  readonly name: string;
  /** Unique among the living nodes of the cluster; empty: the name of the machine. MADANG_NODE_NAME */
  readonly nodeName: string;
  /** actors, gateway, api, push. MADANG_ROLES */
  readonly roles: readonly string[];
  /** Clients are sent to gateways of their region first. */
  readonly region: string;
  /** What this node says of its version; empty: the program's own. */
  readonly version: string;
}

export interface ConsulSettings {
  /** CONSUL_HTTP_ADDR */
  readonly address: string;
  /** CONSUL_HTTP_TOKEN */
  readonly token: string;
  readonly caFile: string;
}

export interface CqlSettings {
  /** host:port of some members of the ring. CQL_CONTACT_POINTS */
  readonly contactPoints: readonly string[];
  readonly keyspace: string;
  /** Needed when the ring has several. */
  readonly dataCenter: string;
  readonly user: string;
  readonly password: string;
  readonly caFile: string;
  /** Where members are reached that tell an address of another network: told=reached, both host:port. */
  readonly translate: readonly string[];
}

export interface ClusterConfig {
  readonly node: NodeSettings;
  readonly cluster: ClusterSettings;
  readonly nats: NatsSettings;
  readonly consul: ConsulSettings;
  readonly cql: CqlSettings;
  readonly postgres: PostgresSettings & { readonly url: string };
  readonly placement: PlacementSettings;
  readonly tracing: TracingSettings;
  readonly runtime: RuntimeSettings;
  readonly storage: StorageSettings;
  readonly chat: ChatSettings;
  readonly gateway: GatewaySettings;
  readonly http: HttpSettings;
  readonly push: PushSettings;
}

export const defaults: ClusterConfig = {
  node: {
    data: "./.madang",
    host: "127.0.0.1", // reachable from this machine only, until somebody says otherwise
    httpPort: 8080,
    wsPort: 8081,
    wsUrl: "",
    logLevel: "info",
    readyJson: false,
    stopWithinMs: 25_000, // below the 30 s after which orchestrators kill
  },
  cluster: {
    name: "",
    nodeName: "",
    roles: ["actors", "gateway", "api", "push"],
    region: "",
    version: "",
  },
  nats: natsDefaults,
  consul: { address: "", token: "", caFile: "" },
  cql: { contactPoints: [], keyspace: "madang", dataCenter: "", user: "", password: "", caFile: "", translate: [] },
  postgres: { url: "", ...postgresDefaults },
  placement: placementDefaults,
  tracing: tracingDefaults,
  runtime: runtimeDefaults,
  storage: storageDefaults,
  chat: chatDefaults,
  gateway: gatewayDefaults,
  http: httpDefaults,
  push: pushDefaults,
};

/** Short names for what scripts set most. */
const shortNames: Readonly<Record<string, string>> = {
  MADANG_DATA: "MADANG_NODE_DATA",
  MADANG_HOST: "MADANG_NODE_HOST",
  MADANG_HTTP_PORT: "MADANG_NODE_HTTP_PORT",
  MADANG_WS_PORT: "MADANG_NODE_WS_PORT",
  MADANG_WS_URL: "MADANG_NODE_WS_URL",
  MADANG_LOG_LEVEL: "MADANG_NODE_LOG_LEVEL",
  MADANG_READY_JSON: "MADANG_NODE_READY_JSON",
  MADANG_CLUSTER: "MADANG_CLUSTER_NAME",
  MADANG_NODE_NAME: "MADANG_CLUSTER_NODE_NAME",
  MADANG_ROLES: "MADANG_CLUSTER_ROLES",
};

/** Names that these servers' own tools read, too. One of ours wins over them. */
const sharedNames: Readonly<Record<string, string>> = {
  NATS_URL: "MADANG_NATS_URL",
  CONSUL_HTTP_ADDR: "MADANG_CONSUL_ADDRESS",
  CONSUL_HTTP_TOKEN: "MADANG_CONSUL_TOKEN",
  CQL_CONTACT_POINTS: "MADANG_CQL_CONTACT_POINTS",
  DATABASE_URL: "MADANG_POSTGRES_URL",
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "MADANG_TRACING_ENDPOINT",
};

/** Variables that other commands read; a node may be started where they are set. */
const ofOtherCommands: ReadonlySet<string> = new Set([
  "MADANG_PASSWORD", // madang chat
  "MADANG_TEST_KILLS", // the tests
  "MADANG_TEST_REPORT",
  "MADANG_TEST_SEED",
  "MADANG_TEST_SEEDS",
  "MADANG_CACHE", // make services
  "MADANG_PYTHON", // the examples
]);

export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** The defaults with the environment laid over them. Throws a ConfigError that names the variable and the reason. */
export function resolveConfig(environment: Readonly<Record<string, string | undefined>>): ClusterConfig {
  const config = structuredClone(defaults) as unknown as Record<string, Record<string, unknown>>;
  const places = new Map<string, { readonly section: Record<string, unknown>; readonly setting: string }>();
  for (const [name, section] of Object.entries(config)) {
    for (const setting of Object.keys(section))
      places.set(`MADANG_${snake(name)}_${snake(setting)}`, { section, setting });
  }
  for (const [shared, ours] of Object.entries(sharedNames)) {
    const text = environment[shared];
    const place = places.get(ours);
    if (text === undefined || text === "" || place === undefined) continue;
    place.section[place.setting] = parse(shared, text, place.section[place.setting]);
  }
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith("MADANG_") || ofOtherCommands.has(variable) || text === undefined) continue;
    const place = places.get(shortNames[variable] ?? variable);
    if (place === undefined)
      throw new ConfigError(`${variable} names no setting. See cluster.config.ts for those that exist.`);
    place.section[place.setting] = parse(variable, text, place.section[place.setting]);
  }
  return check(config as unknown as ClusterConfig);
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (capital) => `_${capital}`).toUpperCase();
}

/** Reads a value of the type that the default has. */
function parse(variable: string, text: string, byDefault: unknown): unknown {
  switch (typeof byDefault) {
    case "number": {
      const value = Number(text);
      if (text.trim() === "" || !Number.isFinite(value) || value < 0) {
        throw new ConfigError(`${variable} must be a number of 0 or more, not "${text}".`);
      }
      return value;
    }
    case "boolean":
      if (!["1", "0", "true", "false"].includes(text))
        throw new ConfigError(`${variable} must be 1 or 0, not "${text}".`);
      return text === "1" || text === "true";
    case "string":
      return text;
    default:
      if (Array.isArray(byDefault))
        return text
          .split(",")
          .map((part) => part.trim())
          .filter((part) => part !== "");
      throw new ConfigError(`${variable} cannot be set by a variable.`);
  }
}

const knownRoles = ["actors", "gateway", "api", "push"];
const token = /^[A-Za-z0-9_-]{1,64}$/;
const logLevels = ["trace", "debug", "info", "warn", "error", "silent"];

function check(config: ClusterConfig): ClusterConfig {
  const { node, chat, gateway, runtime, storage, cluster, placement, push, nats } = config;
  const alone = cluster.name === "";
  const needed = (value: string | readonly unknown[], names: string): readonly [boolean, string] => [
    alone || value.length > 0,
    `A node of a cluster needs ${names}.`,
  ];
  const rules: readonly (readonly [boolean, string])[] = [
    [
      alone || token.test(cluster.name),
      `MADANG_CLUSTER must be 1 to 64 letters, digits, "-" or "_", not "${cluster.name}".`,
    ],
    [
      cluster.nodeName === "" || (token.test(cluster.nodeName) && !cluster.nodeName.startsWith("svc-")),
      `MADANG_NODE_NAME must be 1 to 64 letters, digits, "-" or "_", and not begin with "svc-"; it is "${cluster.nodeName}".`,
    ],
    [
      cluster.roles.length > 0 && cluster.roles.every((role) => knownRoles.includes(role)),
      `MADANG_ROLES must be some of ${knownRoles.join(", ")}, not "${cluster.roles.join(",")}".`,
    ],
    [
      !alone || cluster.roles.length === knownRoles.length,
      "MADANG_ROLES belongs to a node of a cluster: set MADANG_CLUSTER too.",
    ],
    needed(config.nats.url, "NATS_URL"),
    needed(config.consul.address, "CONSUL_HTTP_ADDR"),
    needed(config.postgres.url, "DATABASE_URL"),
    needed(config.cql.contactPoints, "CQL_CONTACT_POINTS"),
    readable(config.nats.credentialsFile, "MADANG_NATS_CREDENTIALS_FILE"),
    readable(config.nats.caFile, "MADANG_NATS_CA_FILE"),
    readable(config.consul.caFile, "MADANG_CONSUL_CA_FILE"),
    readable(config.cql.caFile, "MADANG_CQL_CA_FILE"),
    [
      config.cql.translate.every((pair) => pair.split("=").length === 2),
      "MADANG_CQL_TRANSLATE must be pairs such as 10.0.0.1:9042=203.0.113.7:9042, with commas between.",
    ],
    [
      placement.renewEveryMs * 2 < placement.leaseMs && placement.leaseMs < placement.sessionTtlMs,
      "MADANG_PLACEMENT_LEASE_MS must be above two renewals and below MADANG_PLACEMENT_SESSION_TTL_MS.",
    ],
    [
      placement.beatEveryMs * 2 < placement.suspectMs,
      "MADANG_PLACEMENT_SUSPECT_MS must be above two of MADANG_PLACEMENT_BEAT_EVERY_MS, or one lost beat is a death.",
    ],
    [
      nats.pingEveryMs * (nats.pingsUnansweredMax + 1) < placement.suspectMs,
      "MADANG_PLACEMENT_SUSPECT_MS must be above MADANG_NATS_PING_EVERY_MS times one more than MADANG_NATS_PINGS_UNANSWERED_MAX, or who has a silent NATS server is taken for dead before it can go to another.",
    ],
    [isPort(node.httpPort), `MADANG_HTTP_PORT must be a port, 0 to 65535, not ${node.httpPort}.`],
    [isPort(node.wsPort), `MADANG_WS_PORT must be a port, 0 to 65535, not ${node.wsPort}.`],
    [
      node.httpPort === 0 || node.httpPort !== node.wsPort,
      `MADANG_HTTP_PORT and MADANG_WS_PORT must differ; both are ${node.wsPort}.`,
    ],
    [node.data !== "", "MADANG_DATA must name a folder."],
    [
      logLevels.includes(node.logLevel),
      `MADANG_LOG_LEVEL must be one of ${logLevels.join(", ")}, not "${node.logLevel}".`,
    ],
    [runtime.shardCount >= 1, "MADANG_RUNTIME_SHARD_COUNT must be at least 1."],
    [storage.verifiesAtOnce >= 1, "MADANG_STORAGE_VERIFIES_AT_ONCE must be at least 1, or nothing is acknowledged."],
    [chat.groupMembersMax >= 2, "MADANG_CHAT_GROUP_MEMBERS_MAX must be at least 2."],
    [
      chat.textCharactersMax * 4 <= gateway.frameBytesMax,
      "MADANG_GATEWAY_FRAME_BYTES_MAX must hold MADANG_CHAT_TEXT_CHARACTERS_MAX code points of four bytes.",
    ],
    [
      gateway.frameBytesMax <= gateway.cutBytesMax,
      "MADANG_GATEWAY_CUT_BYTES_MAX must not be below MADANG_GATEWAY_FRAME_BYTES_MAX.",
    ],
    [
      chat.heartbeatMs < chat.silentAfterMs && chat.silentAfterMs < chat.offlineAfterMs,
      "MADANG_CHAT_HEARTBEAT_MS, MADANG_CHAT_SILENT_AFTER_MS and MADANG_CHAT_OFFLINE_AFTER_MS must rise in this order.",
    ],
    [
      Math.max(chat.pointerFlushMs, chat.pushFlushMs) * 2 <= chat.redeliverAfterMs,
      "MADANG_CHAT_REDELIVER_AFTER_MS must be at least twice MADANG_CHAT_POINTER_FLUSH_MS and MADANG_CHAT_PUSH_FLUSH_MS, or what is well is delivered again.",
    ],
    [
      chat.pushFlushMs + push.enqueueWithinMs < chat.redeliverAfterMs,
      "MADANG_CHAT_REDELIVER_AFTER_MS must be above MADANG_CHAT_PUSH_FLUSH_MS and MADANG_PUSH_ENQUEUE_WITHIN_MS together, or what waits for the push queue is delivered again.",
    ],
    [
      gateway.reportEveryMs * 2 < chat.sessionLeaseMs,
      "MADANG_CHAT_SESSION_LEASE_MS must be above twice MADANG_GATEWAY_REPORT_EVERY_MS, or one late report ends a lease.",
    ],
  ];
  for (const [holds, reason] of rules) if (!holds) throw new ConfigError(reason);
  return config;
}

function readable(file: string, name: string): readonly [boolean, string] {
  try {
    if (file !== "") readFileSync(file);
    return [true, ""];
  } catch (error) {
    return [false, `${name} names a file that cannot be read: ${(error as Error).message}.`];
  }
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65_535;
}
