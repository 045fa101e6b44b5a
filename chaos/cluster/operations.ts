// What an operator does with a cluster that is in use, by the command line, and the trace of one message through all of it.

import { setTimeout as pause } from "node:timers/promises";
import { Client as RingClient } from "cassandra-driver";
import { type Client, createClient, createMemoryStore } from "../../client/index.ts";
import { nodeWebSocket } from "../../client/node.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { Device } from "../../tools/demo/person.ts";
import { gather, statePromises, until } from "./chatter.ts";
import { ms } from "./nodes.ts";
import type { Scenario, World } from "./scenario.ts";
import { type Seat, takeSeat } from "./seat.ts";
import { type CollectedSpan, openCollector } from "./traces.ts";

const SETTLED_MS = 60_000;
/** Nodes send their spans every five seconds. */
const TRACED_WITHIN_MS = 20_000;
const QUIET_GROUPS = 3;
const PASSWORD = "the gate stands open";

interface Stage {
  readonly world: World;
  readonly cluster: Cluster;
  readonly seat: Seat;
}

export const operations: Scenario = {
  name: "the command line, repair of an inbox, and a trace through all processes",
  withinMs: 300_000,
  async run(world) {
    const collector = await openCollector();
    const cluster = await world.cluster(
      { actors: 2 },
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector.url, MADANG_TRACING_SAMPLED_SHARE: "1" },
    );
    await cluster.start("gateway-1", "gateway", { MADANG_CLUSTER_REGION: "east" });
    await cluster.start("gateway-2", "gateway", { MADANG_CLUSTER_REGION: "west" });
    const seat = await takeSeat(cluster.settings);
    const stage = { world, cluster, seat };
    try {
      const sent = await traced(stage, collector.spans);
      await commands(stage, sent);
      await repaired(stage);
    } finally {
      await seat.close();
      await collector.close();
    }
  },
};

// ---- traces

interface Sent {
  readonly channelId: string;
  readonly messageId: number;
  close(): Promise<void>;
}

async function traced({ world, cluster }: Stage, spans: readonly CollectedSpan[]): Promise<Sent> {
  const join = async (name: string, region: string): Promise<Client> => {
    const store = createMemoryStore();
    const client = await createClient({ url: cluster.apiUrl, store, webSocket: nodeWebSocket, settings: { region } });
    await client.signUp({ name, password: PASSWORD });
    await client.logIn({ name, password: PASSWORD });
    await client.online();
    return client;
  };
  const ann = await join("ann", "east");
  const bob = await join("bob", "west");
  const heard = new Set<string>();
  bob.on("entries", ({ entries }) => {
    for (const { content } of entries) if (content?.text) heard.add(content.text.text);
  });
  const channel = ann.direct(bob.userId ?? 0);
  await channel.send("the first makes the channel");
  const { messageId } = await channel.send("the second is looked at");
  await until("it is there", () => heard.has("the second is looked at"), 10_000);

  const gatewayOf = (name: string) => cluster.node(name).nodeId;
  const all = () => traceOf(spans, "gateway.send", gatewayOf("gateway-1"));
  // Two people, and each has a device: nodes send their parts when it suits them.
  const wanted = [
    "gateway.send",
    "Channel.post",
    "log.append",
    "User.deliver",
    "User.deliver",
    "gateway.push",
    "gateway.push",
  ];
  const complete = () => {
    const names = all()?.map(({ name }) => name) ?? [];
    return wanted.every(
      (name) => names.filter((other) => other === name).length >= wanted.filter((other) => other === name).length,
    );
  };
  await until("the trace has come", complete, TRACED_WITHIN_MS).catch(() => undefined);
  const trace = all() ?? [];
  for (const line of tree(trace)) world.say(line);
  const [send] = trace.filter(({ parentSpanId }) => parentSpanId === "");
  const named = (name: string) => trace.filter((span) => span.name === name);
  const [post] = named("Channel.post");
  const delivers = named("User.deliver");
  const pushes = named("gateway.push");
  world.fact(
    send?.name === "gateway.send" && post?.parentSpanId === send.spanId,
    "a trace begins with gateway.send; Channel.post is its child",
  );
  world.fact(
    named("log.append").length === 1 && named("log.append")[0]?.parentSpanId === post?.spanId,
    "log.append is a child of Channel.post",
  );
  world.fact(
    delivers.length === 2 && delivers.every(({ parentSpanId }) => parentSpanId === post?.spanId),
    "User.deliver is a child of Channel.post, once for each of the two people",
  );
  world.fact(
    pushes.some(({ node }) => node === gatewayOf("gateway-2")) &&
      pushes.every(({ parentSpanId }) => delivers.some(({ spanId }) => spanId === parentSpanId)),
    "gateway.push is a child of User.deliver, on the other person's gateway, too",
  );
  const processes = new Set(trace.map(({ node }) => node));
  world.fact(processes.size >= 3, `its ${trace.length} spans come from ${processes.size} processes`);
  return {
    channelId: channel.id,
    messageId,
    async close() {
      await Promise.all([ann.close(), bob.close()]);
    },
  };
}

/** The last one that begins so, on that node. */
function traceOf(spans: readonly CollectedSpan[], name: string, node: string): CollectedSpan[] | undefined {
  const root = spans.findLast((span) => span.parentSpanId === "" && span.name === name && span.node === node);
  return root && spans.filter(({ traceId }) => traceId === root.traceId);
}

function tree(trace: readonly CollectedSpan[], parent = "", depth = 0): string[] {
  return trace
    .filter(({ parentSpanId }) => parentSpanId === parent)
    .flatMap(({ spanId, name, node }) => [`${"  ".repeat(depth)}${name} (${node})`, ...tree(trace, spanId, depth + 1)]);
}

// ---- commands

async function commands({ world, cluster, seat }: Stage, sent: Sent): Promise<void> {
  const { fact, say } = world;
  const run = async (...argv: string[]) => {
    const said = await cluster.command(...argv).catch((error: { readonly stderr?: string }) => error.stderr ?? "");
    for (const line of [`$ madang ${argv.join(" ")}`, ...said.trimEnd().split("\n")]) say(line);
    return said;
  };
  const nodes = await run("nodes");
  const names = ["actors-1", "actors-2", "gateway-1", "gateway-2", "api-1"];
  fact(
    names.every((name) => new RegExp(`^${name}#`, "m").test(nodes)) && nodes.includes("* coordinator"),
    "madang nodes lists every node and the coordinator",
  );
  const shards = await run("shards");
  const counts = [...shards.matchAll(/^actors-\d#\w+ +(\d+)/gm)].map(([, count]) => Number(count));
  fact(
    counts.reduce((a, b) => a + b, 0) === seat.shardCount,
    `madang shards: ${counts.join(" and ")} of ${seat.shardCount}`,
  );

  const shard = seat.shardOf(sent.channelId);
  const to = seat.ownerOf(shard) === "actors-1" ? "actors-2" : "actors-1";
  const moved = await run("move", String(shard), to);
  const after = await run("shards", String(shard));
  fact(moved.startsWith(`shard ${shard} belongs to ${to}#`) && after.includes(`${to}#`), `madang move ${shard} ${to}`);
  const nowhere = await run("move", String(shard), "actors-9");
  fact(
    nowhere.startsWith("madang move: NO_SUCH_NODE:"),
    "madang move to a node that is not there is refused, and says so",
  );
  const beyond = await run("move", "1024", to);
  fact(beyond.startsWith("madang move: NO_SUCH_SHARD:"), "madang move of a shard that is not there, too");

  const why = await run("why", sent.channelId, String(sent.messageId));
  fact(!/undefined|NaN/.test(why), "it leaves nothing out that came from another node");
  fact(
    why.includes("every pointer is durable") && /ann: pointer/.test(why) && /bob: pointer.*durable/.test(why),
    "madang why tells the way of a message over several nodes, with nothing but the settings of the cluster",
  );
  const none = await run("why", sent.channelId, "999");
  fact(none.includes("has no message 999"), "madang why of a message that is not there says so");
  await sent.close();

  const drained = await run("drain", "actors-2");
  const left = await run("nodes");
  fact(
    drained.includes("owns no shard any more") && /^actors-2#\w+.*draining.* 0 /m.test(left),
    "madang drain: the node owns nothing, and is still there",
  );
  const empty = await run("drain", "gateway-9");
  fact(empty.startsWith("madang drain: NO_SUCH_NODE:"), "madang drain of a node that is not there is refused");
  await cluster.node("actors-2").stop();
  await cluster.start("actors-2", "actors");
}

// ---- repair

async function repaired({ world, cluster, seat }: Stage): Promise<void> {
  const { fact, say } = world;
  const chatter = await gather({ cluster, pairs: 3, everyMs: 300, groupEvery: 4 });
  try {
    const [victim, other] = chatter.devices as [Device, Device];
    const userId = String(victim.userId);
    // Nobody says anything there any more: no delivery brings these back by itself.
    for (let quiet = 1; quiet <= QUIET_GROUPS; quiet++) {
      await victim.client.createGroup({ title: `quiet ${quiet}`, memberIds: [other.userId] });
    }
    chatter.talk();
    await pause(5_000); // the pointers are written
    const before = (await seat.users(userId).inbox({ afterVersion: 0, limit: 0 })).pointers.length;
    await loseInbox(cluster, seat, userId);
    const lost = (await seat.users(userId).inbox({ afterVersion: 0, limit: 0 })).pointers;
    fact(
      before === QUIET_GROUPS + 2 && before - lost.length >= QUIET_GROUPS,
      `of ${before} channels the inbox has lost ${before - lost.length}, while people chat`,
    );
    const startedMs = performance.now();
    const told = await cluster.command("repair", "inbox", victim.person);
    for (const line of told.trimEnd().split("\n")) say(line);
    const { pointers } = await seat.users(userId).inbox({ afterVersion: 0, limit: 0 });
    fact(
      pointers.length === before,
      `madang repair inbox: ${pointers.length} of ${before} channels again, after ${ms(performance.now() - startedMs)}`,
    );
    await chatter.hush();
    fact(await chatter.settled(SETTLED_MS), "the old devices have everything");
    await newDevice(world, cluster, seat, victim, before);
    const again = await cluster.command("repair", "inbox", userId);
    fact(/: 0 pointers repaired, 5 stood/.test(again), `a second repair finds nothing to do: ${again.split("\n")[0]}`);
    const nobody = await cluster.command("repair", "inbox", "nobody at all").catch((error) => error.stderr as string);
    fact(nobody.includes("There is no user nobody at all."), "there is no inbox of somebody who is not there");
    await statePromises(world, chatter);
  } finally {
    await chatter.close();
  }
}

/** The rows are gone from the ring, and the next owner of the user finds nothing. */
async function loseInbox(cluster: Cluster, seat: Seat, userId: string): Promise<void> {
  const ring = new RingClient({
    contactPoints: (cluster.settings.CQL_CONTACT_POINTS ?? "").split(","),
    localDataCenter: "datacenter1",
    keyspace: cluster.settings.MADANG_CQL_KEYSPACE ?? "",
  });
  const shard = seat.shardOf(userId);
  try {
    const select = "SELECT name, WRITETIME(value) AS written FROM inbox WHERE owner = ?";
    const { rows } = await ring.execute(select, [userId], { prepare: true });
    for (const row of rows) {
      // As old as what they delete, for nothing may write here with the clock of the wall.
      const remove = `DELETE FROM inbox USING TIMESTAMP ${row.get("written")} WHERE owner = ? AND name = ?`;
      await ring.execute(remove, [userId, row.get("name")], { prepare: true });
    }
    await seat.move(shard, seat.ownerOf(shard) === "actors-1" ? "actors-2" : "actors-1", false);
  } finally {
    await ring.shutdown();
  }
}

/** One that has nothing yet gets all channels to their ends. */
async function newDevice({ fact }: World, cluster: Cluster, seat: Seat, person: Device, count: number): Promise<void> {
  const device = new Device("another one", person.person, cluster.apiUrl, async () => createMemoryStore());
  await device.switchOn();
  try {
    await device.client.online();
    const channels = device.client.channels.map(({ id }) => id);
    const ends = async (channelId: string) => {
      const { lastId } = await seat.channels(channelId).describe({ userId: 0 });
      return device.recordOf(channelId).entries.some(({ messageId }) => messageId === lastId);
    };
    const has = await Promise.all(channels.map(ends));
    fact(
      channels.length === count && has.every(Boolean),
      `a new device of that person syncs ${channels.length} channels, each to its end`,
    );
  } finally {
    await device.switchOff();
  }
}
