// Three nodes on a real Consul and a real NATS, in one process. CONSUL_HTTP_ADDR and NATS_URL name them.

import { afterAll, describe, expect, it } from "vitest";
import { systemClock as clock, pause } from "../clock.ts";
import { ConsulClient } from "../consul/client.ts";
import { createConsulStore } from "../consul/store.ts";
import { createNatsControl } from "../control/nats.ts";
import { silentLogger } from "../logger.ts";
import { newMember } from "../membership/port.ts";
import { connectNats, natsDefaults } from "../nats/connection.ts";
import { subjectsOf } from "../nats/subjects.ts";
import { systemRandom as random } from "../random.ts";
import { giveOrder, readCluster } from "./admin.ts";
import { type ClusterPlacement, createClusterPlacement } from "./cluster.ts";
import { placementDefaults as settings } from "./settings.ts";

const address = process.env.CONSUL_HTTP_ADDR ?? "http://127.0.0.1:8500";
const token = process.env.CONSUL_HTTP_TOKEN ?? "";
const url = process.env.NATS_URL ?? "nats://127.0.0.1:4222";
const cluster = `test-${Math.floor(random.next() * 2 ** 40).toString(36)}`;
const subjects = subjectsOf(cluster);
const SHARDS = 1_024;
const openStore = () =>
  createConsulStore({ address, token, cluster, clock, random, log: silentLogger, sessionTtlMs: settings.sessionTtlMs });
const openControl = async (nodeId: string) => {
  const nats = await connectNats({
    settings: { ...natsDefaults, url },
    name: nodeId,
    log: silentLogger,
    noEcho: true,
  });
  return createNatsControl({ nats, subjects, nodeId });
};

interface Running {
  readonly nodeId: string;
  readonly placement: ClusterPlacement;
  readonly acting: Map<number, number>;
  /** As if its process were gone: nothing of it reaches anybody any more. */
  crash(): Promise<void>;
}

let running: Running[] = [];

async function start(nodeId: string): Promise<Running> {
  const control = await openControl(nodeId);
  const store = openStore();
  const acting = new Map<number, number>();
  const placement = createClusterPlacement({
    member: { ...newMember(nodeId, ["actors"]), version: "1" },
    shardCount: SHARDS,
    settings,
    clock,
    random,
    log: silentLogger,
    store,
    control,
  });
  placement.placement.open({
    onAssigned: async ({ shard, epoch }) => void acting.set(shard, epoch),
    onHandoff: async ({ shard }) => void acting.delete(shard),
    onRevoked: ({ shard, epoch }) => {
      if (acting.get(shard) === epoch) acting.delete(shard);
    },
    onOwnersChanged() {},
  });
  await placement.start();
  const node: Running = {
    nodeId,
    placement,
    acting,
    async crash() {
      running = running.filter((other) => other !== node);
      store.close();
      await control.close();
    },
  };
  running.push(node);
  return node;
}

/** Milliseconds until every shard has one owner of those that run, and each its fair share. */
async function whole(withinMs: number): Promise<number> {
  const startedMs = clock.monotonicMs();
  const fair = SHARDS / running.length;
  const isWhole = () =>
    running.reduce((sum, { acting }) => sum + acting.size, 0) === SHARDS &&
    running.every(
      ({ acting, placement }) =>
        acting.size >= Math.floor(fair * 0.9) &&
        [...acting].every(([shard, epoch]) => placement.placement.ownerOf(shard)?.epoch === epoch) &&
        placement.table()?.version === running[0]?.placement.table()?.version,
    );
  while (!isWhole()) {
    if (clock.monotonicMs() - startedMs > withinMs) {
      throw new Error(`not whole: ${running.map(({ nodeId, acting }) => `${nodeId} ${acting.size}`).join(", ")}`);
    }
    await pause(clock, 20);
  }
  return Math.round(clock.monotonicMs() - startedMs);
}

afterAll(async () => {
  for (const { placement } of running) await placement.close();
  const raw = new ConsulClient({ address, token });
  await raw.call(`/v1/kv/madang/${cluster}?recurse`, { method: "DELETE" });
  raw.close();
});

describe("three nodes on Consul and NATS", () => {
  const measured: Record<string, number> = {};

  it("share the shards", async () => {
    const startedMs = clock.monotonicMs();
    await Promise.all([start("a#1"), start("b#1"), start("c#1")]);
    await whole(5_000);
    measured.togetherMs = Math.round(clock.monotonicMs() - startedMs);
  });

  it("give a newcomer its part", async () => {
    const startedMs = clock.monotonicMs();
    await start("d#1");
    await whole(10_000);
    measured.newcomerMs = Math.round(clock.monotonicMs() - startedMs);
    const leader = running.find(({ placement }) => placement.coordinator().phase === "working");
    const { count, sum, max } = leader?.placement.stats().handoffMs ?? { count: 0, sum: 0, max: 0 };
    measured.handoffs = count;
    measured.handoffMeanMs = Math.round(sum / count);
    measured.handoffMaxMs = Math.round(max);
    expect(count).toBeGreaterThan(200);
    expect(max).toBeLessThan(1_000);
  });

  it("are whole again within 8 s when one dies, and when the coordinator dies", async () => {
    await pause(clock, 3_000);
    await running.find(({ placement }) => placement.coordinator().phase === "following")?.crash();
    measured.afterCrashMs = await whole(8_000);
    await running.find(({ placement }) => placement.coordinator().phase === "working")?.crash();
    measured.afterCoordinatorCrashMs = await whole(8_000);
  });

  it("do what an operator orders", async () => {
    const store = openStore();
    const state = await readCluster(store);
    const to = running.find(({ nodeId }) => nodeId !== state?.coordinator.nodeId) as Running;
    const shard = state?.table?.owners.findIndex(({ nodeId }) => nodeId !== to.nodeId) ?? 0;
    const control = await openControl("cli-1#1");
    const told = { control, clusterId: state?.clusterId ?? "", settings, clock, withinMs: 10_000 };
    await giveOrder({
      ...told,
      to: state?.coordinator.nodeId ?? "",
      order: { move: { shard, to: to.nodeId.split("#")[0] as string, force: false } },
    });
    expect((await readCluster(store))?.table?.owners[shard]?.nodeId).toBe(to.nodeId);
    store.close();
    await control.close();
  });

  it("let one leave in order, without a pause", async () => {
    const leaving = running[0] as Running;
    const startedMs = clock.monotonicMs();
    expect(await leaving.placement.drain()).toBe(true);
    measured.drainMs = Math.round(clock.monotonicMs() - startedMs);
    running = running.filter((other) => other !== leaving);
    await leaving.placement.close();
    await whole(2_000);
    process.stdout.write(`${JSON.stringify(measured)}\n`);
  });
});
