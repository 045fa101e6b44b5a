// Several nodes of a cluster on this machine, each a process of its own with its roles, on engines that are there already. They
// end with the process that started them.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { commandLine, type NodeProcess, startNodeProcess } from "../demo/node-process.ts";

export interface Layout {
  readonly actors: number;
  readonly gateways: number;
  readonly apis: number;
  readonly pushers: number;
}

export interface ClusterOptions {
  /** NATS_URL, CONSUL_HTTP_ADDR, CQL_CONTACT_POINTS, DATABASE_URL. */
  readonly environment: Readonly<Record<string, string>>;
  /** Names subjects, keys and keyspace: clusters of different names do not meet. */
  readonly name: string;
  readonly layout: Layout;
  /** Further settings of all nodes. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Folder for what the nodes write; by default nobody keeps it. */
  readonly logs?: string;
  readonly log: (line: string) => void;
}

export interface ClusterNode extends NodeProcess {
  readonly name: string;
}

export interface Cluster {
  readonly name: string;
  /** As all nodes have them: for the command line, too. */
  readonly settings: Readonly<Record<string, string>>;
  /** By name: actors-1, gateway-1, api-1, push-1 … Those that are gone stay listed until they are started again. */
  readonly nodes: ReadonlyMap<string, ClusterNode>;
  node(name: string): ClusterNode;
  /** Another one, or one that is gone, again. */
  start(name: string, roles: string, settings?: Readonly<Record<string, string>>): Promise<ClusterNode>;
  /** Of the first API node. */
  readonly apiUrl: string;
  /** Runs the command line: `madang nodes`, `madang move …`. Resolves with its output; rejects with what it said. */
  command(...argv: string[]): Promise<string>;
  stop(): Promise<void>;
}

const execute = promisify(execFile);

/** Runs the command line with these settings and no others. Resolves with its output; rejects with what it said. */
export async function runCommandLine(settings: Readonly<Record<string, string>>, ...argv: string[]): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: tmpdir(), ...settings };
  const { stdout } = await execute(process.execPath, commandLine(...argv), { env });
  return stdout;
}

/**
 * Of Node: a message is in flight for some ten milliseconds, and where the young generation is small (16 MB each half), what
 * belongs to it is copied again and again meanwhile. Costs up to 100 MB of memory, saves a tenth of the CPU.
 */
export const nodeOptions = { NODE_OPTIONS: "--max-semi-space-size=64" } as const;

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { environment, name, layout, log } = options;
  const folder = await mkdtemp(join(tmpdir(), "madang-cluster-"));
  const settings = {
    MADANG_PUSH_REPLICAS: "1", // of the streams, unless the environment knows of several NATS servers
    ...environment,
    MADANG_CLUSTER: name,
    MADANG_CQL_KEYSPACE: name.replaceAll("-", "_"),
    ...options.settings,
  };
  const nodes = new Map<string, ClusterNode>();
  const command = (...argv: string[]) => runCommandLine(settings, ...argv);
  const start: Cluster["start"] = async (nodeName, roles, own = {}) => {
    const started = await startNodeProcess({
      folder: join(folder, nodeName),
      settings: { ...nodeOptions, ...settings, MADANG_NODE_NAME: nodeName, MADANG_ROLES: roles, ...own },
      ...(options.logs === undefined ? {} : { logFile: join(options.logs, `${name}.${nodeName}.log`) }),
    });
    const node: ClusterNode = Object.defineProperty(started, "name", { value: nodeName }) as ClusterNode;
    nodes.set(nodeName, node);
    return node;
  };
  const cluster: Cluster = {
    name,
    settings,
    nodes,
    node(nodeName) {
      const node = nodes.get(nodeName);
      if (node === undefined) throw new Error(`there is no node ${nodeName}`);
      return node;
    },
    start,
    get apiUrl() {
      return cluster.node("api-1").httpUrl;
    },
    command,
    async stop() {
      await Promise.all([...nodes.values()].map(end));
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    log((await command("schema", "apply")).trim().replaceAll("\n", "; "));
    const wanted = [
      ...named("actors", layout.actors, "actors"),
      ...named("gateway", layout.gateways, "gateway"),
      ...named("api", layout.apis, "api"),
      ...named("push", layout.pushers, "push"),
    ];
    await Promise.all(wanted.map(([nodeName, roles]) => start(nodeName, roles)));
    log(`${wanted.length} nodes are ready: ${wanted.map(([nodeName]) => nodeName).join(", ")}`);
    return cluster;
  } catch (error) {
    await Promise.all([...nodes.values()].map((node) => node.kill()));
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** In order if it can; one that sleeps is woken for it. */
async function end(node: ClusterNode): Promise<void> {
  if (!node.alive) return;
  node.resume();
  const cut = setTimeout(() => void node.kill(), STOP_WITHIN_MS);
  await node.stop();
  clearTimeout(cut);
}

const STOP_WITHIN_MS = 20_000;

function named(prefix: string, count: number, roles: string): (readonly [string, string])[] {
  return Array.from({ length: count }, (_, at) => [`${prefix}-${at + 1}`, roles] as const);
}
