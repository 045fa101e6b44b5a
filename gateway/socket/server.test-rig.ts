// For tests of the edge: a node with real actors on stores in memory, a real endpoint on a free port, and a client that speaks
// frames over a real socket.

import { WebSocket } from "ws";
import { createChat } from "../../actors/index.ts";
import { chatDefaults } from "../../actors/settings.ts";
import {
  ChannelService,
  ClientFrame,
  type Entry,
  GatewayService,
  PresenceService,
  ServerFrame,
  UserService,
} from "../../proto/index.ts";
import {
  createMemoryCluster,
  createNode,
  type Node,
  noTracer,
  runtimeDefaults,
  silentLogger,
  systemClock,
  systemRandom,
} from "../../runtime/index.ts";
import { createMemoryStores } from "../../storage/index.ts";
import type { ActorRefs } from "../refs.ts";
import { type GatewaySettings, gatewayDefaults } from "../settings.ts";
import { createSocketServer, type SocketServer } from "./server.ts";

export interface Rig {
  readonly url: string;
  readonly port: number;
  readonly sockets: SocketServer;
  readonly refs: ActorRefs;
  /** Who is whose friend: nobody, until a test says so. */
  readonly friends: Map<number, number[]>;
  connect(options?: { readonly origin?: string }): Promise<Client>;
  /** Connects and says hello; resolves when the device is caught up. */
  join(userId: number, deviceId?: number, cursor?: number): Promise<Client>;
  close(): Promise<void>;
  /** Log-ins that have ended, as the account store knows them. */
  readonly endedLogIns: Set<string>;
  /** As a user's actor does that leaves its node. */
  reattach(sessionId: number): void;
  /** No turn of the endpoint ends from now on, until what is returned is called. */
  holdTurns(): () => void;
}

export interface Client {
  readonly socket: WebSocket;
  readonly frames: ServerFrame[];
  readonly closed: Promise<number>;
  send(frame: ClientFrame): void;
  sendBytes(bytes: Uint8Array | string): void;
  /** Sends and waits for the answer. */
  ask(frame: Omit<ClientFrame, "request">): Promise<ServerFrame>;
  /** The first frame, already here or to come, that fits. */
  next(fits: (frame: ServerFrame) => boolean): Promise<ServerFrame>;
  entries(channelId: string): Entry[];
}

/** Tickets of tests say who comes: "user/device/id", "expired" is over. */
export async function createRig(settings: Partial<GatewaySettings> = {}): Promise<Rig> {
  const clock = systemClock;
  const friends = new Map<number, number[]>();
  const stores = await createMemoryStores({ clock });
  const cluster = createMemoryCluster({ clock, shardCount: 16 });
  const seat = cluster.join("n#1", ["actors", "gateway"]);
  const chat = createChat({
    settings: { ...chatDefaults, fanOutEveryMs: 0, pointerFlushMs: 20, watermarkFlushMs: 20, receiptFlushMs: 20 },
    clock,
    log: silentLogger,
    logs: stores.logs,
    registers: stores.registers,
    friendsOf: async (userId) => friends.get(userId) ?? [],
    userExists: async (userId) => userId < 1_000,
    references: (service) => node.references(service),
  });
  const node: Node = createNode({
    nodeId: "n#1",
    settings: { ...runtimeDefaults, shardCount: 16 },
    clock,
    random: systemRandom,
    log: silentLogger,
    ...seat,
    fence: stores.fence,
    wake: stores.wake,
    actors: chat.definitions,
  });
  const refs: ActorRefs = {
    channel: node.references(ChannelService),
    user: node.references(UserService),
    presence: node.references(PresenceService),
  };
  const endedLogIns = new Set<string>();
  let held: (() => void)[] | undefined;
  const soon = (task: () => void) => (held === undefined ? clock.soon(task) : void held.push(task));
  const sockets = createSocketServer({
    isOpen: async (loginId) => !endedLogIns.has(loginId),
    elsewhere: () => "",
    tracer: noTracer,
    node,
    refs,
    async verifyTicket(ticket) {
      const [userId, deviceId, ticketId = ""] = ticket.split("/");
      const { chatErrors } = await import("../../actors/index.ts");
      if (!(Number(userId) > 0)) throw chatErrors.TICKET_USED({ message: "not a ticket" });
      return {
        userId: Number(userId),
        deviceId: Number(deviceId),
        loginId: "l",
        ticketId,
        expiresMs: clock.wallMs() + 60_000,
      };
    },
    settings: { ...gatewayDefaults, ...settings },
    rules: { heartbeatMs: 5_000, silentAfterMs: 12_000, offlineAfterMs: 30_000, textCharactersMax: 100_000 },
    clock: { ...clock, soon },
    random: systemRandom,
    log: silentLogger,
  });
  cluster.spread();
  const { port } = await sockets.listen("127.0.0.1", 0);
  const url = `ws://127.0.0.1:${port}/`;
  let tickets = 0;
  const rig: Rig = {
    url,
    port,
    sockets,
    refs,
    friends,
    endedLogIns,
    reattach: (sessionId) =>
      node.references(GatewayService)(node.nodeId).reattach({ sessionId, epoch: Number.MAX_SAFE_INTEGER }),
    holdTurns() {
      const tasks: (() => void)[] = [];
      held = tasks;
      return () => {
        held = undefined;
        for (const task of tasks) task();
      };
    },
    connect: (options = {}) => connect(url, options),
    async join(userId, deviceId = userId * 10, cursor = 0) {
      const client = await connect(url, {});
      client.send({ request: 1, hello: { ticket: `${userId}/${deviceId}/t${++tickets}`, cursor, client: "test" } });
      await client.next((frame) => frame.caughtUp != null);
      return client;
    },
    async close() {
      await sockets.close();
      await node.close();
      await stores.close();
    },
  };
  return rig;
}

function connect(url: string, { origin }: { readonly origin?: string }): Promise<Client> {
  const socket = new WebSocket(url, origin === undefined ? {} : { origin });
  socket.binaryType = "nodebuffer";
  const frames: ServerFrame[] = [];
  const waiting: { fits: (frame: ServerFrame) => boolean; resolve: (frame: ServerFrame) => void }[] = [];
  let lastRequest = 100;
  socket.on("message", (data: Buffer) => {
    const frame = ServerFrame.decode(new Uint8Array(data));
    frames.push(frame);
    for (const one of [...waiting]) {
      if (!one.fits(frame)) continue;
      waiting.splice(waiting.indexOf(one), 1);
      one.resolve(frame);
    }
  });
  const client: Client = {
    socket,
    frames,
    closed: new Promise((resolve) => socket.on("close", resolve)),
    send: (frame) => socket.send(ClientFrame.encode(frame).finish()),
    sendBytes: (bytes) => socket.send(bytes),
    ask(frame) {
      const request = ++lastRequest;
      client.send({ request, ...frame });
      return client.next((answer) => answer.request === request);
    },
    next(fits) {
      const here = frames.find(fits);
      if (here !== undefined) return Promise.resolve(here);
      return new Promise((resolve) => waiting.push({ fits, resolve }));
    },
    entries: (channelId) =>
      frames.flatMap((frame) => {
        if (frame.delivery?.channelId === channelId) return frame.delivery.entries;
        return frame.pointer?.channelId === channelId ? frame.pointer.newest : [];
      }),
  };
  return new Promise((resolve, reject) => {
    socket.on("open", () => resolve(client));
    socket.on("error", reject);
  });
}
