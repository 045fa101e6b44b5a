// Puts one node together from its parts: which ones depends on its roles, and what they stand upon on whether there is a cluster.

import v8 from "node:v8";
import { createChat } from "./actors/index.ts";
import { openCluster } from "./assembly/cluster.ts";
import { type Closer, noFence, noWakeList } from "./assembly/foundation.ts";
import { createMetrics } from "./assembly/metrics.ts";
import { openSingle } from "./assembly/single.ts";
import { openTracing } from "./assembly/tracing.ts";
import type { ClusterConfig } from "./cluster.config.ts";
import {
  type ActorRefs,
  createHealthServer,
  createHttpApi,
  createSocketServer,
  createTicketCheck,
  createTokens,
  type SocketServer,
} from "./gateway/index.ts";
import { ChannelService, PresenceService, UserService } from "./proto/index.ts";
import { createLogProvider, logRegistration, type PushWorker, startPushWorker } from "./push/index.ts";
import {
  systemClock as clock,
  createNode,
  type Logger,
  type Node,
  noTracer,
  systemRandom as random,
  type Timer,
} from "./runtime/index.ts";

export interface RunningNode {
  readonly nodeId: string;
  readonly httpUrl: string;
  /** Empty on a node without the gateway role. */
  readonly wsUrl: string;
  /** Says go away to all clients, lets its shards go, finishes what was begun, and lets go of the data. */
  stop(): Promise<void>;
}

/** Starts one node. Rejects with a typed error if it cannot. */
export async function startNode(config: ClusterConfig, log: Logger): Promise<RunningNode> {
  const closers: Closer[] = [];
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return await assemble(config, log, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function assemble(config: ClusterConfig, log: Logger, closers: Closer[], closeAll: Closer): Promise<RunningNode> {
  const foundation =
    config.cluster.name === ""
      ? await openSingle(config, clock, log, closers)
      : await openCluster(config, clock, random, log, closers);
  const { nodeId, roles, stores, accounts, key, pushQueue } = foundation;
  const tracing = config.tracing.endpoint === "" ? undefined : await openTracing(config.tracing, nodeId, random);
  if (tracing !== undefined) closers.push(() => tracing.close());
  const tracer = tracing?.tracer ?? noTracer;

  const chat =
    stores === undefined
      ? undefined
      : createChat({
          settings: config.chat,
          clock,
          log,
          tracer,
          logs: stores.logs,
          registers: stores.registers,
          ...(pushQueue === undefined ? {} : { push: pushQueue }),
          friendsOf: (userId) => accounts.friendsOf(userId),
          userExists: (userId) => accounts.userExists(userId),
          references: (service) => node.references(service),
        });
  const node: Node = createNode({
    nodeId,
    settings: config.runtime,
    clock,
    random,
    log,
    tracer,
    ...foundation.seat,
    fence: stores?.fence ?? noFence,
    wake: stores?.wake ?? noWakeList,
    actors: chat?.definitions ?? [],
    heapShare,
  });
  closers.push(() => node.close());
  if (chat !== undefined) closers.push(() => chat.flush());
  const refs: ActorRefs = {
    channel: node.references(ChannelService),
    user: node.references(UserService),
    presence: node.references(PresenceService),
  };

  const otherGateway = () => {
    const others = foundation.gateways().filter(({ url }) => url !== wsUrl);
    return others[Math.floor(random.next() * others.length)]?.url ?? "";
  };
  let sockets: SocketServer | undefined;
  if (roles.has("gateway")) {
    const { heartbeatMs, silentAfterMs, offlineAfterMs, textCharactersMax } = config.chat;
    const server = createSocketServer({
      node,
      refs,
      verifyTicket: createTicketCheck(createTokens(key, clock, config.http), accounts),
      isOpen: (loginId) => accounts.isOpen(loginId),
      settings: config.gateway,
      elsewhere: otherGateway,
      tracer,
      rules: { heartbeatMs, silentAfterMs, offlineAfterMs, textCharactersMax },
      clock,
      random,
      log,
    });
    sockets = server;
    closers.push(() => server.close());
  }

  let pushWorker: PushWorker | undefined;
  if (roles.has("push") && pushQueue !== undefined) {
    const worker = startPushWorker({
      queue: pushQueue,
      users: refs.user,
      provider: createLogProvider(log),
      registrationsOf: async () => [logRegistration],
      removeRegistration: async () => {},
      settings: config.push,
      clock,
      random,
      log,
    });
    pushWorker = worker;
    closers.push(() => worker.close());
  }

  const metrics = createMetrics();
  metrics.measure({
    node,
    sockets,
    stores,
    chat,
    pushQueue,
    pushWorker,
    cluster: foundation.numbers,
  });
  let isUp = false;
  const health = { ready: () => isUp && foundation.connected(), metrics: metrics.registry };
  const http = roles.has("api")
    ? await createHttpApi({
        ...health,
        refs,
        accounts,
        key,
        clock,
        random,
        log,
        settings: config.http,
        gateways: () => foundation.gateways(),
      })
    : createHealthServer(health);
  closers.push(() => http.close());

  const { host } = config.node;
  const ws = sockets === undefined ? undefined : await sockets.listen(host, config.node.wsPort);
  const wsUrl = ws === undefined ? "" : config.node.wsUrl || `ws://${hostInUrl(host)}:${ws.port}/`;
  const { port } = await http.listen(host, config.node.httpPort);
  const httpUrl = `http://${hostInUrl(host)}:${port}`;
  await foundation.join({ wsUrl, httpUrl });
  if (sockets !== undefined) closers.push(await reportSessions(sockets, config, foundation.tellSessions));
  foundation.onDrain(() => {
    isUp = false;
    void sockets?.close();
  });
  isUp = true;
  return {
    nodeId,
    httpUrl,
    wsUrl,
    async stop() {
      isUp = false;
      // Both at once: clients find another gateway while the shards find another owner.
      await Promise.all([sockets?.close(), foundation.drain()]);
      await closeAll();
    },
  };
}

/** How full this gateway is: others choose by it whom they send here. */
async function reportSessions(
  sockets: SocketServer,
  config: ClusterConfig,
  tell: (sessions: number, sessionsMax: number) => void,
): Promise<Closer> {
  let timer: Timer | undefined;
  const report = () => {
    tell(sockets.connections, config.gateway.connectionsMax);
    timer = clock.after(SESSIONS_EVERY_MS, report);
  };
  report();
  return async () => timer?.cancel();
}

/** Written more rarely where that is dear: see placement.memberWriteMs. */
const SESSIONS_EVERY_MS = 1_000;

/** What a client on this machine can connect to, for an address that listens everywhere. */
function hostInUrl(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}

function heapShare(): number {
  const { used_heap_size, heap_size_limit } = v8.getHeapStatistics();
  return used_heap_size / heap_size_limit;
}
