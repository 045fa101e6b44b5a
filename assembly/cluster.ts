// One node of a cluster: NATS carries what nodes say to each other, Consul holds who is there and who owns which shard, a CQL ring
// keeps the logs and what is derived from them, PostgreSQL the accounts.

import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { ClusterConfig } from "../cluster.config.ts";
import { sharedSigningKey } from "../gateway/index.ts";
import { openJetStreamPushQueue, type PushQueue } from "../push/index.ts";
import {
  type Clock,
  connectNats,
  createClusterPlacement,
  createConsulStore,
  createNatsControl,
  createNatsTransport,
  type Logger,
  newMember,
  type Random,
  type Role,
  subjectsOf,
} from "../runtime/index.ts";
import { openPostgresAccounts } from "../storage/accounts/index.ts";
import { openCqlStores, type Stores } from "../storage/index.ts";
import { consulAddress, ringAddress } from "./addresses.ts";
import type { Closer, Foundation } from "./foundation.ts";

/** Of this program; nodes of two versions work together, and while they do nothing is balanced. */
const VERSION = "0.2.0";

const INCARNATION_BYTES = 6;
/** Of the time that a stop may take: the rest is for what comes after. */
const DRAIN_SHARE = 0.6;

export async function openCluster(
  config: ClusterConfig,
  clock: Clock,
  random: Random,
  log: Logger,
  closers: Closer[],
): Promise<Foundation> {
  const { cluster, nats: natsSettings, runtime } = config;
  const name = nodeName(cluster.nodeName);
  const nodeId = `${name}#${randomBytes(INCARNATION_BYTES).toString("hex")}`;
  const roles = new Set(cluster.roles as readonly Role[]);
  const subjects = subjectsOf(cluster.name);

  const nats = await connectNats({ settings: natsSettings, name: nodeId, log });
  closers.push(() => nats.close());
  const controlNats = await connectNats({
    settings: natsSettings,
    name: `${nodeId} control`,
    log,
    noEcho: true,
  });
  const control = createNatsControl({ nats: controlNats, subjects, nodeId });
  closers.push(() => control.close());

  const drainListeners: (() => void)[] = [];
  const placement = createClusterPlacement({
    member: {
      ...newMember(nodeId, [...roles]),
      version: cluster.version === "" ? VERSION : cluster.version,
      region: cluster.region,
    },
    shardCount: runtime.shardCount,
    settings: config.placement,
    clock,
    random,
    log,
    store: createConsulStore({
      ...consulAddress(config),
      cluster: cluster.name,
      sessionTtlMs: config.placement.sessionTtlMs,
      clock,
      random,
      log,
    }),
    control,
    onDrain: () => {
      for (const listener of drainListeners) listener();
    },
  });
  closers.push(() => placement.close());
  // From here on there is something to be written: not by a node that would not be let in.
  await placement.check();
  await controlNats.permitted();

  const accounts = await openPostgresAccounts({
    url: config.postgres.url,
    clock,
    log,
    settings: config.postgres,
  });
  closers.push(() => accounts.close());

  let stores: Stores | undefined;
  if (roles.has("actors")) {
    const opened = await openCqlStores({
      ...ringAddress(config),
      owner: nodeId,
      nodeName: name,
      clusterName: cluster.name,
      shardCount: runtime.shardCount,
      clock,
      settings: config.storage,
      log,
    });
    stores = opened;
    closers.push(() => opened.close());
  }

  const key = await sharedSigningKey(accounts);

  let pushQueue: PushQueue | undefined;
  if (roles.has("actors") || roles.has("push")) {
    const opened = await openJetStreamPushQueue({ nats, cluster: cluster.name, clock, settings: config.push, log });
    pushQueue = opened;
    closers.push(() => opened.close());
  }

  closers.push(() => placement.close()); // leaves before what it stands upon is closed

  const transport = createNatsTransport({ nats, subjects, nodeId, clock, routes: true });
  return {
    nodeId,
    roles,
    seat: { transport, membership: placement.membership, placement: placement.placement },
    stores,
    accounts,
    pushQueue,
    key,
    numbers: { placement, nats: [nats, controlNats], transport },
    gateways: () =>
      placement.membership
        .members()
        .filter(({ roles, status, wsUrl }) => roles.includes("gateway") && status === "up" && wsUrl !== "")
        .map(({ wsUrl, region, sessions, sessionsMax }) => ({ url: wsUrl, region, sessions, sessionsMax })),
    async join({ wsUrl, httpUrl }) {
      placement.tell({ wsUrl, httpUrl });
      await nats.permitted(); // whoever learns of this node can reach it
      await placement.start();
    },
    connected: () => nats.connected,
    tellSessions: (sessions, sessionsMax) => placement.tell({ sessions, sessionsMax }),
    onDrain: (listener) => void drainListeners.push(listener),
    async drain() {
      placement.tell({ status: "draining" });
      const { drainMs } = config.placement;
      const empty = await placement.drain(Math.min(drainMs, config.node.stopWithinMs * DRAIN_SHARE));
      if (!empty) log.warn({}, "some shards had nowhere to go, and are left to the others");
    },
  };
}

/** A name that can stand in a subject; by default the machine's. */
function nodeName(given: string): string {
  return (given === "" ? hostname() : given).replaceAll(/[^A-Za-z0-9_-]/g, "-").slice(0, 64);
}
