// What the commands of an operator share: where the cluster is, and how its nodes are spoken to. They read the settings of a
// node from the same variables, and are no member.

import { randomBytes } from "node:crypto";
import { consulAddress } from "../assembly/addresses.ts";
import { type ClusterConfig, ConfigError, resolveConfig } from "../cluster.config.ts";
import {
  type ClusterState,
  systemClock as clock,
  clusterErrors,
  connectNats,
  createConsulStore,
  createNatsControl,
  giveOrder,
  MadangError,
  readCluster,
  silentLogger,
  subjectsOf,
  systemRandom,
} from "../runtime/index.ts";

/** A coordinator that is being replaced is back within seconds. */
const COORDINATOR_TRIES = 8;
const COORDINATOR_PAUSE_MS = 1_000;
/** Beside what the nodes themselves allow for it. */
const ORDER_GRACE_MS = 10_000;

/** Runs the command, and says on one line what went wrong with something outside of it. */
export async function runCommand(name: string, usage: string, task: () => Promise<string | undefined>): Promise<void> {
  try {
    const said = await task();
    if (said !== undefined) process.stdout.write(said);
    else {
      process.stderr.write(usage);
      process.exitCode = 2;
    }
  } catch (error) {
    if (!(error instanceof MadangError || error instanceof ConfigError || isUsage(error))) throw error;
    const code = error instanceof MadangError ? `${error.code}: ` : "";
    process.stderr.write(`madang ${name}: ${code}${error.message}\n${isUsage(error) ? usage : ""}`);
    process.exitCode = error instanceof MadangError ? 1 : 2;
  }
}

function isUsage(error: unknown): error is Error {
  return error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}

function clusterConfig(): ClusterConfig {
  const config = resolveConfig(process.env);
  if (config.cluster.name === "") throw new ConfigError("MADANG_CLUSTER is not set: a single node has no cluster.");
  return config;
}

/** What Consul holds of the cluster now. */
export async function lookAtCluster(config: ClusterConfig = clusterConfig()): Promise<ClusterState> {
  const store = createConsulStore({
    ...consulAddress(config),
    cluster: config.cluster.name,
    sessionTtlMs: config.placement.sessionTtlMs,
    clock,
    random: systemRandom,
    log: silentLogger,
  });
  try {
    const state = await readCluster(store);
    if (state === undefined) throw new ConfigError(`No node of the cluster "${config.cluster.name}" has ever started.`);
    return state;
  } finally {
    store.close();
  }
}

/** A control of no member: nodes take orders from it, and nothing else. */
async function openControl(config: ClusterConfig) {
  if (config.nats.url === "") throw new ConfigError("NATS_URL is not set.");
  const nodeId = `cli-${randomBytes(4).toString("hex")}#1`;
  const nats = await connectNats({ settings: config.nats, name: nodeId, log: silentLogger, noEcho: true });
  const control = createNatsControl({ nats, subjects: subjectsOf(config.cluster.name), nodeId });
  return control;
}

/** Asks the node that `choose` names, again when the coordinator has changed meanwhile. */
export async function order(
  told: Parameters<typeof giveOrder>[0]["order"],
  choose: (state: ClusterState) => string,
): Promise<void> {
  const config = clusterConfig();
  const { handoffMs, drainMs } = config.placement;
  const withinMs = Math.max(handoffMs, drainMs) + ORDER_GRACE_MS;
  for (let attempt = 1; ; attempt++) {
    const state = await lookAtCluster(config);
    const to = choose(state);
    const control = await openControl(config);
    try {
      const { clusterId } = state;
      if (to === "") throw clusterErrors.NOT_COORDINATOR({ message: "there is no coordinator now" });
      await giveOrder({ control, clusterId, to, order: told, settings: config.placement, clock, withinMs });
      return;
    } catch (error) {
      const changed = error instanceof MadangError && error.code === "NOT_COORDINATOR";
      if (!changed || attempt === COORDINATOR_TRIES) throw error;
    } finally {
      await control.close();
    }
    await new Promise((resolve) => setTimeout(resolve, COORDINATOR_PAUSE_MS));
  }
}

/** A node by its id, or by its name without the incarnation. */
export function findNode({ members }: ClusterState, name: string): string {
  const found = members.find(({ nodeId }) => nodeId === name || nodeId.split("#")[0] === name);
  if (found === undefined) throw clusterErrors.NO_SUCH_NODE({ message: `no node is called ${name}; see madang nodes` });
  return found.nodeId;
}
