// One node of the chat on the ring, without a network, which counts what it asks of the driver: by table, reads and writes.
//
//   chat-node <keyspace>

import cassandra from "cassandra-driver";
import { chatDefaults, createChat } from "../../actors/index.ts";
import { ChannelService, directChannelId } from "../../proto/index.ts";
import {
  createMemoryCluster,
  createNode,
  type Node,
  runtimeDefaults,
  silentLogger,
  systemClock,
  systemRandom,
} from "../../runtime/index.ts";
import type { Statement } from "../../storage/cql/client.ts";
import { openCqlStores } from "../../storage/index.ts";
import { pause } from "../measure.ts";
import { beMeasured } from "../processes.ts";
import { stampedText } from "../texts.ts";

export interface SendOrder {
  /** Channels first … first + channels − 1, each by its first person. */
  readonly first: number;
  readonly channels: number;
  /** Messages a channel, all at once. */
  readonly each: number;
  /** The channels have left memory before. */
  readonly cold: boolean;
}

/** A message, by `read messages`, `write messages`, `read head` …; and `requests`, of which writes may share one. */
export type Operations = Readonly<Record<string, number>>;

const [keyspace = ""] = process.argv.slice(2);
/** Soon enough that a bench does not wait long, and longer than any answer takes. */
const PASSIVATE_AFTER_MS = 4_000;
const POINTERS_MS = 2_500;
const ACTIVATIONS_POLL_MS = 100;

const counts = new Map<string, number>();
countRequests();

const stores = await openCqlStores({
  contactPoints: (process.env.CQL_CONTACT_POINTS ?? "").split(","),
  keyspace,
  owner: `chat#${process.pid}`,
  clusterName: "bench",
  shardCount: runtimeDefaults.shardCount,
  clock: systemClock,
});
const chat = createChat({
  settings: { ...chatDefaults, channelPassivateAfterMs: PASSIVATE_AFTER_MS },
  clock: systemClock,
  log: silentLogger,
  logs: stores.logs,
  registers: stores.registers,
  friendsOf: async () => [],
  userExists: async () => true,
  references: (service) => node.references(service),
});
const cluster = createMemoryCluster({ clock: systemClock, shardCount: runtimeDefaults.shardCount });
const node: Node = createNode({
  nodeId: "chat#1",
  settings: runtimeDefaults,
  clock: systemClock,
  random: systemRandom,
  log: silentLogger,
  ...cluster.join("chat#1", ["actors"]),
  fence: stores.fence,
  wake: stores.wake,
  actors: chat.definitions,
});
cluster.spread();
const channels = node.references(ChannelService);
const numbers = new Map<string, number>();

const isText = (value: unknown): value is string => typeof value === "string";

/** The only two doors of the driver that a node goes through. */
function countRequests(): void {
  const door = cassandra.Client.prototype;
  const { execute, batch } = door as unknown as Readonly<Record<string, (...given: unknown[]) => unknown>>;
  const add = (kind: string) => void counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const kindOf = (query: string) => {
    const table = /(?:FROM|INTO|UPDATE)\s+(\w+)/.exec(query)?.[1] ?? "";
    return `${query.startsWith("SELECT") ? "read" : "write"} ${table}`;
  };
  Object.assign(door, {
    execute(this: cassandra.Client, query: string, ...rest: unknown[]) {
      add(kindOf(query));
      add("requests");
      return execute?.call(this, query, ...rest);
    },
    batch(this: cassandra.Client, statements: readonly Statement[], ...rest: unknown[]) {
      // The first text of a statement names its partition, or the actor that is to be woken.
      const writes = statements.map(
        ({ query, params }) => [kindOf(query) + params.find(isText), kindOf(query)] as const,
      );
      for (const kind of new Map(writes).values()) add(kind);
      add("requests");
      return batch?.call(this, statements, ...rest);
    },
  });
}

async function send(channel: number): Promise<void> {
  const userId = channel * 2 + 1;
  const channelId = directChannelId(userId, userId + 1);
  const number = (numbers.get(channelId) ?? 0) + 1;
  numbers.set(channelId, number);
  const content = { text: { text: stampedText(0), replyTo: 0 } };
  await channels(channelId).post({ userId, producer: 1, number, content }, { deadlineMs: 20_000 });
}

/** With all that the messages cause: their pointers are written when it resolves. */
async function run({ first, channels: count, each, cold }: SendOrder): Promise<Operations> {
  while (cold && (node.stats().kinds.Channel?.activations ?? 0) > 0) await pause(ACTIVATIONS_POLL_MS);
  const before = new Map(counts);
  await Promise.all(Array.from({ length: count * each }, (_, at) => send(first + (at % count))));
  await chat.flush();
  await pause(POINTERS_MS);
  const messages = count * each;
  return Object.fromEntries([...counts].map(([kind, now]) => [kind, (now - (before.get(kind) ?? 0)) / messages]));
}

beMeasured(
  {},
  async () => {
    await node.close();
    await stores.close();
  },
  run,
);
