// Bad input and bad days: starts that cannot go well, envelopes from strangers, a table that somebody has written over.

import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { type Chatter, gather, stateArrival, statePromises, until } from "./chatter.ts";
import { ms } from "./nodes.ts";
import type { Scenario, World } from "./scenario.ts";
import { type Seat, takeSeat } from "./seat.ts";
import { annoy } from "./strangers.ts";
import { faultsOf, startWrongly } from "./wrong-start.ts";
import { startOthers, wrongStarts } from "./wrong-starts.ts";

const SETTLED_MS = 60_000;
/** Until then what was sent has its ack, on a machine that is busy, too. */
const ANSWERED_MS = 3_000;

export const badDays: Scenario = {
  name: "wrong starts, strangers, and a table that is garbage",
  withinMs: 300_000,
  async run(world) {
    const cluster = await world.cluster({ actors: 2, gateways: 1 });
    const others = await startOthers();
    try {
      await wrongStarts(world, cluster, others);
    } finally {
      await others.stop();
    }
    const seat = await takeSeat(cluster.settings);
    const chatter = await gather({ cluster, pairs: 4, everyMs: 200, groupEvery: 8 });
    try {
      chatter.talk();
      await pause(2_000);
      await strangers(world, cluster, seat, chatter);
      await garbledTable(world, cluster, seat, chatter);
      await stateArrival(world, chatter, SETTLED_MS);
      await statePromises(world, chatter);
    } finally {
      await chatter.close();
      await seat.close();
    }
  },
};

// ---- strangers

async function strangers({ fact }: World, cluster: Cluster, seat: Seat, chatter: Chatter): Promise<void> {
  const errorsBefore = chatter.errors.length;
  const { clusterId } = await seat.state();
  const names = ["actors-1", "actors-2", "gateway-1"];
  const fromMs = performance.now();
  for (const name of names) {
    const node = cluster.node(name);
    const before = await numbersOf(node.httpUrl);
    const told = await annoy({
      url: cluster.settings.NATS_URL ?? "",
      cluster: cluster.name,
      clusterId,
      nodeId: node.nodeId,
      memberId: cluster.node(name === "gateway-1" ? "actors-1" : "gateway-1").nodeId,
      channelId: chatter.group,
    });
    for (const { what, metric, atLeast } of told) {
      const grown = async () => ((await numbersOf(node.httpUrl)).get(metric) ?? 0) - (before.get(metric) ?? 0);
      await until(`${name} counts ${what}`, async () => (await grown()) >= atLeast, 5_000).catch(() => undefined);
      fact((await grown()) >= atLeast, `${name}: ${what}: ${metric} rises by ${await grown()} (${atLeast} were sent)`);
    }
  }
  const toMs = performance.now();
  await pause(ANSWERED_MS);
  const latencies = chatter.latencies(fromMs, toMs);
  fact(
    latencies.length > 0 && latencies.every((latency) => latency < Infinity) && chatter.errors.length === errorsBefore,
    `meanwhile ${latencies.length} texts are acknowledged, the slowest after ${ms(latencies.at(-1) ?? Number.NaN)}; ` +
      `${chatter.errors.length - errorsBefore} errors seen by users`,
  );
}

/** What a node tells Prometheus, by name and labels. */
async function numbersOf(httpUrl: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${httpUrl}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

// ---- the table

async function garbledTable({ services, fact }: World, cluster: Cluster, seat: Seat, chatter: Chatter): Promise<void> {
  const key = `${services.environment.CONSUL_HTTP_ADDR}/v1/kv/madang/${cluster.name}/placement`;
  const errorsBefore = chatter.errors.length;
  const { table: before } = await seat.state();
  await fetch(key, { method: "PUT", body: randomBytes(4_000) });
  await pause(3_000);
  const start = {
    what: "a node that starts meanwhile",
    settings: { ...cluster.settings, MADANG_NODE_NAME: "late", MADANG_ROLES: "actors" },
    code: "PLACEMENT_CORRUPT",
    says: /cannot be read/,
  };
  const ending = await startWrongly(start);
  fact(
    faultsOf(start, ending).length === 0,
    `garbage over the table of a living cluster: ${start.what} is refused: ${ending.said.trim()}`,
  );
  const toMs = performance.now();
  await pause(ANSWERED_MS);
  const latencies = chatter.latencies(toMs - 3_000, toMs);
  fact(
    latencies.length > 0 && latencies.every((latency) => latency < Infinity) && chatter.errors.length === errorsBefore,
    `traffic goes on by the table before it: ${latencies.length} texts acknowledged, ${chatter.errors.length - errorsBefore} errors`,
  );
  await fetch(key, { method: "DELETE" });
  const healedMs = await until(
    "there is a table again",
    async () => (await seat.state().catch(() => undefined))?.table !== undefined,
    30_000,
  );
  const { table: after } = await seat.state();
  const fallen = after?.owners.filter(({ epoch }, shard) => epoch < (before?.owners[shard]?.epoch ?? 0)).length;
  const moved = after?.owners.filter(({ nodeId }, shard) => nodeId !== before?.owners[shard]?.nodeId).length;
  fact(
    fallen === 0 && moved === 0,
    `it is removed: a table again after ${ms(healedMs)}, ${fallen} epochs fell, ${moved} shards have another owner`,
  );
  await cluster.start("late", "actors");
  fact(true, "and a node that starts now is let in");
}
