// Nodes of a cluster in this process, on a real NATS server, with the actors of the chat domain on stores in memory; and a way
// to NATS that can be cut.

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, connect as dial, type Socket } from "node:net";
import { chatDefaults, createChat } from "../../actors/index.ts";
import { ChannelService, PresenceService } from "../../proto/index.ts";
import {
  systemClock as clock,
  createNode,
  type Node,
  type Placement,
  pause,
  runtimeDefaults,
  shardOf,
  silentLogger,
  systemRandom,
} from "../../runtime/index.ts";
import { createMemoryMembership } from "../../runtime/membership/memory.ts";
import { newMember } from "../../runtime/membership/port.ts";
import { connectNats, type Nats, natsDefaults } from "../../runtime/nats/connection.ts";
import { subjectsOf } from "../../runtime/nats/subjects.ts";
import { createMemoryPlacement } from "../../runtime/placement/memory.ts";
import { createNatsTransport } from "../../runtime/transport/nats.ts";
import { createMemoryStores } from "../../storage/index.ts";

const SHARDS = 16;

/** A way to a server that can be cut: what is on it is lost, and nobody gets through until it is healed. */
export interface Way {
  readonly url: string;
  cut(): void;
  heal(): void;
  close(): Promise<void>;
}

export async function openWay(url: string): Promise<Way> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let broken = false;
  const server = createServer((near) => {
    if (broken) return void near.destroy();
    const far = dial(Number(port), hostname);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    broken = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `nats://127.0.0.1:${(server.address() as { port: number }).port}`,
    cut,
    heal() {
      broken = false;
    },
    async close() {
      cut();
      server.close();
    },
  };
}

export interface Nodes {
  readonly cluster: string;
  /** Names of the nodes that live. */
  readonly alive: readonly string[];
  /** Any node that lives. */
  readonly at: Node;
  ownerOf(actorId: string): string;
  /** Planned. */
  move(actorId: string, to: string): Promise<void>;
  /** Unplanned: the old owner is not asked. */
  seize(actorId: string, to: string): void;
  /** Its way to NATS breaks for good, and a moment later the others take its shards. */
  kill(name: string): Promise<void>;
  /** Posts as a member, again until it is kept. */
  post(channelId: string, userId: number, number: number, text: string): Promise<number>;
  /** A session of the user beats. */
  beat(userId: number): void;
  close(): Promise<void>;
}

interface Standing {
  readonly node: Node;
  readonly nats: Nats;
  readonly way: Way;
  readonly view: Placement;
}

export interface NodesOptions {
  readonly url: string;
  /** "name:Service.method" */
  readonly allowed: readonly string[];
  readonly cluster?: string;
  readonly credentials?: { readonly user: string; readonly password: string };
}

export async function startNodes(options: NodesOptions): Promise<Nodes> {
  const { url, allowed, cluster = `test-${randomUUID()}`, credentials } = options;
  if (url === "") throw new Error("NATS_URL names no server: `make test-engines` starts one.");
  const subjects = subjectsOf(cluster);
  const stores = await createMemoryStores({ clock });
  const membership = createMemoryMembership();
  const placement = createMemoryPlacement({ clock, shardCount: SHARDS, firstEpoch: 1 });
  const names = ["a#1", "b#1", "c#1"];
  const nodes = new Map<string, Standing>();

  for (const nodeId of names) {
    const way = await openWay(url);
    const access = new URL(way.url);
    if (credentials !== undefined)
      Object.assign(access, { username: credentials.user, password: credentials.password });
    const settings = { ...natsDefaults, url: access.href.replace(/\/$/, "") };
    const nats = await connectNats({ settings, name: nodeId, log: silentLogger });
    const own = stores.forNode();
    const view = placement.join(nodeId);
    const chat = createChat({
      settings: chatDefaults,
      clock,
      log: silentLogger,
      logs: own.logs,
      registers: own.registers,
      friendsOf: async () => [],
      userExists: async () => true,
      references: (service) => node.references(service),
    });
    const node: Node = createNode({
      nodeId,
      settings: { ...runtimeDefaults, shardCount: SHARDS, servicesAllowed: allowed },
      clock,
      random: systemRandom,
      log: silentLogger,
      transport: createNatsTransport({ nats, subjects, nodeId, clock, routes: true }),
      membership: membership.join(newMember(nodeId, ["actors"])),
      placement: view,
      fence: own.fence,
      wake: own.wake,
      actors: chat.definitions,
    });
    await nats.flush();
    nodes.set(nodeId, { node, nats, way, view });
  }
  placement.spread();

  const first = () => [...nodes.values()][0] as Standing;
  return {
    cluster,
    get alive() {
      return [...nodes.keys()];
    },
    get at() {
      return first().node;
    },
    ownerOf: (actorId) => first().view.ownerOf(shardOf(actorId, SHARDS))?.nodeId ?? "",
    move: (actorId, to) => placement.move(shardOf(actorId, SHARDS), to),
    seize: (actorId, to) => placement.seize(shardOf(actorId, SHARDS), to),
    async kill(name) {
      const { way, node, nats } = nodes.get(name) as Standing;
      nodes.delete(name);
      way.cut();
      await pause(clock, 300); // nobody knows yet
      membership.leave(name);
      placement.leave(name);
      await nats.close();
      void node.close().catch(() => undefined); // its stores are no longer its own
    },
    async post(channelId, userId, number, text) {
      const content = { text: { text, replyTo: 0 } };
      for (;;) {
        try {
          const channel = first().node.references(ChannelService)(channelId);
          const sent = await channel.post({ userId, producer: 1_000 + userId, number, content }, { deadlineMs: 1_000 });
          return sent.messageId;
        } catch (error) {
          if (!(error as { retryable?: boolean }).retryable) throw error;
        }
      }
    },
    beat(userId) {
      const presence = first().node.references(PresenceService)(String(userId));
      presence.report({ gateway: "a#1", sessionId: 1, state: 0, lastBeatAgoMs: 0 });
    },
    async close() {
      for (const { node, nats, way } of nodes.values()) {
        await node.close();
        await nats.close();
        await way.close();
      }
      await stores.close();
    },
  };
}
