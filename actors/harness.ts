// A small cluster in one process for tests of the chat domain: real runtime, real actors, stores in memory, a virtual clock,
// and devices that record what reaches them. No socket takes part.

import {
  ChannelService,
  type Content,
  Delivery,
  Entry,
  GatewayService,
  PresenceService,
  protobuf,
  ServerFrame,
  UserService,
} from "../proto/index.ts";
import {
  createMemoryCluster,
  createNode,
  createVirtualClock,
  type MemoryCluster,
  type Node,
  runtimeDefaults,
  seededRandom,
  shardOf,
  silentLogger,
  type VirtualClock,
} from "../runtime/index.ts";
import { createMemoryStores, type SharedStores } from "../storage/index.ts";
import { type ChatOptions, type ChatSettings, chatDefaults, createChat } from "./index.ts";

const SHARDS = 16;

export interface Pushed {
  readonly channelId: string;
  readonly prev: number;
  readonly version: number;
  readonly entries: readonly Entry[];
  readonly readId: number;
}

/** One session of a device, on one node. */
export interface Device {
  readonly userId: number;
  readonly deviceId: number;
  readonly sessionId: number;
  readonly pushed: Pushed[];
  readonly told: ServerFrame[];
  readonly closed: number[];
  reattachments: number;
  /** Texts that reached the device, by push. */
  texts(channelId: string): string[];
}

export interface World {
  readonly clock: VirtualClock;
  readonly cluster: MemoryCluster;
  readonly stores: SharedStores;
  readonly nodes: Map<string, Node>;
  readonly friends: Map<number, number[]>;
  readonly unknownUsers: Set<number>;
  /** Whose inbox was read from the store, in order. */
  readonly inboxReads: string[];
  /** As if the table had lost the rows that this user has in it now. */
  loseInbox(userId: number): Promise<void>;
  addNode(name: string): Node;
  /** Any living node: actors are found wherever they live. */
  readonly at: Node;
  attach(
    userId: number,
    deviceId: number,
    options?: { readonly ticketId?: string; readonly login?: string },
  ): Promise<Device>;
  ownerOf(id: string): string;
  close(): Promise<void>;
}

let lastSession = 0;

/** @param push where the push jobs of all nodes go; without it there are none */
export async function createWorld(
  nodeNames: readonly string[],
  settings: Partial<ChatSettings> = {},
  push?: ChatOptions["push"],
): Promise<World> {
  const clock = createVirtualClock();
  const cluster = createMemoryCluster({ clock, shardCount: SHARDS });
  const stores = await createMemoryStores({ clock });
  const nodes = new Map<string, Node>();
  const owners = new Map<string, ReturnType<MemoryCluster["join"]>>();
  const devices = new Map<number, Device>();
  const friends = new Map<number, number[]>();
  const unknownUsers = new Set<number>();
  const inboxReads: string[] = [];
  /** Registers that were lost and not written since, by family, owner and name. */
  const lost = new Set<string>();

  const addNode = (name: string): Node => {
    const seat = cluster.join(name, ["actors", "gateway"]);
    owners.set(name, seat);
    const own = stores.forNode();
    const chat = createChat({
      settings: { ...chatDefaults, ...settings },
      clock,
      log: silentLogger,
      logs: own.logs,
      registers: {
        async write(writes) {
          await own.registers.write(writes);
          for (const { family, owner, name } of writes) lost.delete(`${family}/${owner}/${name}`);
        },
        async read(family, owner) {
          if (family === "inbox") inboxReads.push(owner);
          const registers = await own.registers.read(family, owner);
          return registers.filter(({ name }) => !lost.has(`${family}/${owner}/${name}`));
        },
      },
      friendsOf: async (userId) => friends.get(userId) ?? [],
      userExists: async (userId) => !unknownUsers.has(userId),
      references: (service) => node.references(service),
      ...(push === undefined ? {} : { push }),
    });
    const node: Node = createNode({
      nodeId: name,
      settings: { ...runtimeDefaults, shardCount: SHARDS },
      clock,
      random: seededRandom(1),
      log: silentLogger,
      ...seat,
      fence: own.fence,
      wake: own.wake,
      actors: chat.definitions,
    });
    node.serve(GatewayService, {
      push({ sessionId, prev, version, body }) {
        const { channelId, entries, readId } = Delivery.decode(new protobuf.Reader(body));
        devices.get(sessionId)?.pushed.push({ channelId, prev, version, entries, readId });
      },
      tell: ({ sessionId, frame }) => void devices.get(sessionId)?.told.push(ServerFrame.decode(frame)),
      close: ({ sessionId, reason }) => void devices.get(sessionId)?.closed.push(reason),
      reattach({ sessionId }) {
        const device = devices.get(sessionId);
        if (device !== undefined) device.reattachments += 1;
      },
    });
    nodes.set(name, node);
    return node;
  };
  for (const name of nodeNames) addNode(name);
  cluster.spread();
  await clock.settle();

  const world: World = {
    clock,
    cluster,
    stores,
    nodes,
    friends,
    unknownUsers,
    inboxReads,
    async loseInbox(userId) {
      const owner = String(userId);
      for (const { name } of await within(clock, stores.registers.read("inbox", owner)))
        lost.add(`inbox/${owner}/${name}`);
    },
    addNode,
    get at() {
      return [...nodes.values()][0] as Node;
    },
    ownerOf: (id) => [...owners.values()][0]?.placement.ownerOf(shardOf(id, SHARDS))?.nodeId ?? "",
    async attach(userId, deviceId, { ticketId = "", login = "login" } = {}) {
      const sessionId = ++lastSession;
      const pushed: Pushed[] = [];
      const device: Device = {
        userId,
        deviceId,
        sessionId,
        pushed,
        told: [],
        closed: [],
        reattachments: 0,
        texts: (channelId) =>
          pushed
            .filter((push) => push.channelId === channelId)
            .flatMap(({ entries }) => entries.flatMap((entry) => entry.content?.text?.text ?? [])),
      };
      devices.set(sessionId, device);
      const attach = { gateway: world.at.nodeId, sessionId, deviceId, loginId: login, cursor: 0 };
      await within(
        clock,
        this.at
          .references(UserService)(String(userId))
          .attach({ ...attach, ticketId, ticketExpiresMs: clock.wallMs() + 60_000 }),
      );
      return device;
    },
    async close() {
      const closing = Promise.all([...nodes.values()].map((node) => node.close()));
      await within(clock, closing);
      await stores.close();
    },
  };
  return world;
}

/** Lets virtual time pass until the promise has an outcome. */
export async function within<T>(clock: VirtualClock, promise: Promise<T>, limitMs = 60_000): Promise<T> {
  let over = false;
  const watched = promise.finally(() => {
    over = true;
  });
  watched.catch(() => undefined);
  for (let passedMs = 0; !over && passedMs < limitMs; passedMs += 10) await clock.advance(10);
  return watched;
}

export function text(value: string): Content {
  return { text: { text: value, replyTo: 0 } };
}

/** The actors as seen from a node. */
export function refsOf(node: Node) {
  return {
    channel: node.references(ChannelService),
    user: node.references(UserService),
    presence: node.references(PresenceService),
  };
}
