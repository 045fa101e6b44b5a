// Puts one node together from its parts: the only file that knows all of them.

import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import v8 from "node:v8";
import { createChat } from "./actors/index.ts";
import type { ClusterConfig } from "./cluster.config.ts";
import {
  type ActorRefs,
  createHttpApi,
  createSocketServer,
  createTicketCheck,
  createTokens,
  type SigningKey,
} from "./gateway/index.ts";
import { createMetrics } from "./metrics.ts";
import { ChannelService, PresenceService, UserService } from "./proto/index.ts";
import {
  createMemoryCluster,
  createNode,
  type Logger,
  type Node,
  noTracer,
  systemClock,
  systemRandom,
} from "./runtime/index.ts";
import { openEmbeddedAccounts } from "./storage/accounts/index.ts";
import { openEmbeddedStores } from "./storage/index.ts";

export interface RunningNode {
  readonly httpUrl: string;
  readonly wsUrl: string;
  /** Says go away to all clients, finishes what was begun, and lets go of the data. */
  stop(): Promise<void>;
}

/** Closed in the order in which it was opened, from the end. */
type Closer = () => Promise<void>;

/** Starts one node on embedded stores. Rejects with a typed error if it cannot. */
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
  const clock = systemClock;
  const random = systemRandom;
  const folder = config.node.data;
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o700); // other people's messages are in it
  const stores = await openEmbeddedStores({ folder, clock, settings: config.storage, log });
  closers.push(() => stores.close());
  const accounts = await openEmbeddedAccounts({ folder: join(folder, "accounts"), clock });
  closers.push(() => accounts.close());

  const nodeId = `${process.pid}#${stores.bootEpoch}`;
  const { shardCount } = config.runtime;
  const cluster = createMemoryCluster({ clock, shardCount, firstEpoch: stores.bootEpoch });
  const chat = createChat({
    settings: config.chat,
    clock,
    log,
    logs: stores.logs,
    registers: stores.registers,
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
    ...cluster.join(nodeId, ["actors", "gateway", "api"]),
    fence: stores.fence,
    wake: stores.wake,
    actors: chat.definitions,
    heapShare,
  });
  closers.push(() => node.close());
  closers.push(() => chat.flush());
  const refs: ActorRefs = {
    channel: node.references(ChannelService),
    user: node.references(UserService),
    presence: node.references(PresenceService),
  };

  const key = signingKey(folder);
  const { host } = config.node;
  const address = { ws: "" };
  const { heartbeatMs, silentAfterMs, offlineAfterMs, textCharactersMax } = config.chat;
  const sockets = createSocketServer({
    node,
    refs,
    verifyTicket: createTicketCheck(createTokens(key, clock, config.http), accounts),
    settings: config.gateway,
    elsewhere: () => "",
    tracer: noTracer,
    rules: { heartbeatMs, silentAfterMs, offlineAfterMs, textCharactersMax },
    clock,
    random,
    log,
  });
  closers.push(() => sockets.close());
  const metrics = createMetrics();
  metrics.measure({ node, sockets, stores, pointersWaiting: chat.pointersWaiting });
  let ready = false;
  const http = await createHttpApi({
    refs,
    accounts,
    key,
    clock,
    log,
    settings: config.http,
    random,
    gateways: () => [{ url: config.node.wsUrl || address.ws, region: "", sessions: 0, sessionsMax: 1 }],
    ready: () => ready,
    metrics: metrics.registry,
  });
  closers.push(() => http.close());

  cluster.spread();
  const ws = await sockets.listen(host, config.node.wsPort);
  address.ws = `ws://${hostInUrl(host)}:${ws.port}/`;
  const api = await http.listen(host, config.node.httpPort);
  ready = true;
  return {
    httpUrl: `http://${hostInUrl(host)}:${api.port}`,
    wsUrl: config.node.wsUrl || address.ws,
    async stop() {
      ready = false;
      await closeAll();
    },
  };
}

/** What a client on this machine can connect to, for an address that listens everywhere. */
function hostInUrl(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}

/** Made with the first start and kept beside the data, readable by nobody else. */
function signingKey(folder: string): SigningKey {
  const file = join(folder, "signing.key");
  try {
    writeFileSync(file, randomBytes(32), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return new Uint8Array(readFileSync(file));
}

function heapShare(): number {
  const { used_heap_size, heap_size_limit } = v8.getHeapStatistics();
  return used_heap_size / heap_size_limit;
}
