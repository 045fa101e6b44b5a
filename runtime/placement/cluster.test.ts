// One or several nodes of placement, on a virtual clock.

import { describe, expect, it } from "vitest";
import type { Order } from "../../proto/index.ts";
import { Rig, type RigNode } from "./cluster.test-rig.ts";
import { decodeControl, encodeControl } from "./messages.ts";

const START_MS = 3_000;

async function three(options: ConstructorParameters<typeof Rig>[0] = {}): Promise<Rig> {
  const rig = new Rig(options);
  for (const name of ["a", "b", "c"]) rig.join(name);
  await settled(rig, START_MS);
  return rig;
}

async function settled(rig: Rig, withinMs: number): Promise<number> {
  const tookMs = await rig.becomes(() => rig.unsettled() === undefined, withinMs, "a settled cluster");
  expect(rig.violations).toEqual([]);
  return tookMs;
}

const follower = (rig: Rig) => rig.up.find(({ cluster }) => cluster.coordinator().phase === "following") as RigNode;
const leader = (rig: Rig) => rig.leader as RigNode;
const version = (rig: Rig) => rig.up[0]?.cluster.table()?.version ?? 0;

describe("nodes that start", () => {
  it("alone, own everything at once", async () => {
    const rig = new Rig();
    const node = rig.join("a");
    await settled(rig, START_MS);
    expect(node.acting.size).toBe(rig.shards);
    expect(node.cluster.coordinator()).toMatchObject({ term: 1, nodeId: "a#1", phase: "working" });
  });

  it("together, share the shards", async () => {
    const rig = await three({ shards: 1_024 });
    expect(rig.up.map(({ acting }) => acting.size).sort()).toEqual([341, 341, 342]);
  });

  it("later, get their part by hand-off, at epochs above", async () => {
    const rig = new Rig({ shards: 1_024 });
    const first = rig.join("a");
    await settled(rig, START_MS);
    const second = rig.join("b");
    await settled(rig, 10_000);
    expect([...second.acting.values()].every((epoch) => epoch === 2)).toBe(true);
    expect(first.cluster.stats().moves.handoffs).toBe(second.acting.size);
    expect(first.cluster.stats().handoffMs.max).toBeLessThan(300);
  });

  it("are refused with another number of shards, and write nothing", async () => {
    const rig = await three();
    const before = rig.store.snapshot();
    const node = rig.join("d", {}, "d#9", 32);
    await rig.becomes(() => node.state === "refused", START_MS);
    expect(node.error).toMatchObject({ code: "SHARD_COUNT_MISMATCH" });
    expect(rig.store.snapshot().index).toBe(before.index);
  });

  it("can ask first whether they would be let in, and join by the same object", async () => {
    const rig = await three();
    const before = rig.store.snapshot();
    const refused = rig.looks("b");
    await rig.becomes(() => refused.state === "refused", START_MS);
    expect(refused.error).toMatchObject({ code: "NAME_IN_USE" });
    const letIn = rig.looks("d");
    await rig.clock.advance(START_MS);
    expect(letIn.state).toBe("up");
    expect(rig.store.snapshot().index).toBe(before.index);
    void letIn.cluster.start();
    await settled(rig, 10_000);
    expect(rig.nodes[0]?.cluster.membership.members().map(({ nodeId }) => nodeId)).toContain(letIn.nodeId);
  });

  it("are refused while a node of their name lives, and replace one that does not answer at once", async () => {
    const rig = await three();
    const before = rig.store.snapshot();
    const twin = rig.join("b");
    await rig.becomes(() => twin.state === "refused", START_MS);
    expect(twin.error).toMatchObject({ code: "NAME_IN_USE" });
    expect(rig.store.snapshot().index).toBe(before.index);

    const old = rig.nodes.find(({ nodeId }) => nodeId.startsWith("b#")) as RigNode;
    rig.crash(old);
    rig.join("b");
    const tookMs = await settled(rig, START_MS);
    expect(tookMs).toBeLessThan(2_000); // nobody had to be suspected
    expect(rig.up.every(({ left, nodeId }) => nodeId.startsWith("b#") || left.includes(old.nodeId))).toBe(true);
  });

  it("are refused when their clock is far from Consul's", async () => {
    const rig = new Rig();
    const wallMs = () => rig.clock.wallMs() + 31_000;
    const store = rig.store.connect("x");
    rig.store.connect = () => ({ ...store, wallMs: async () => wallMs(), failures: 0 });
    const node = rig.join("a");
    await rig.becomes(() => node.state === "refused", START_MS);
    expect(node.error).toMatchObject({ code: "CLOCK_SKEW" });
    expect(rig.store.snapshot().index).toBe(0);
  });

  it("are refused when nodes of another cluster answer", async () => {
    const rig = await three();
    // As another Consul under the same name.
    rig.store.remove("config");
    const node = rig.join("d");
    await rig.becomes(() => node.state === "refused", START_MS);
    expect(node.error).toMatchObject({ code: "CLUSTER_MISMATCH" });
    expect(rig.store.snapshot().values.has("config")).toBe(false);
  });

  it("are refused when the table cannot be read, and leave it as it is", async () => {
    const rig = new Rig();
    rig.store.overwrite("placement", new TextEncoder().encode("something else"));
    const node = rig.join("a");
    await rig.becomes(() => node.state === "refused", START_MS);
    expect(node.error).toMatchObject({ code: "PLACEMENT_CORRUPT" });
    expect(rig.store.snapshot().index).toBe(1);
  });

  it("are refused while there is no way to the others", async () => {
    const rig = new Rig();
    rig.control.disconnect("a#1");
    const node = rig.join("a");
    await rig.becomes(() => node.state === "refused", 10_000);
    expect(node.error).toMatchObject({ code: "CONTROL_UNREACHABLE" });
  });

  it("of another version get nothing for balance, but what has no owner", async () => {
    const rig = await three();
    const newer = rig.join("d", { version: "1.1.0" });
    await rig.clock.advance(10_000);
    expect(newer.cluster.membership.members()).toHaveLength(4);
    expect(newer.acting.size).toBe(0);
    const old = follower(rig);
    const had = old.acting.size;
    rig.crash(old);
    await rig.becomes(() => newer.acting.size > 0, 7_000);
    expect(newer.acting.size).toBe(had);
  });
});

describe("a node that is gone", () => {
  it("loses its shards within 7 s, and everybody is told", async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const rig = await three({ seed });
      await rig.clock.advance(seed * 317);
      const gone = follower(rig);
      rig.crash(gone);
      expect(await settled(rig, 7_000)).toBeGreaterThan(4_000);
      for (const { left } of rig.up) expect(left).toEqual([gone.nodeId]);
    }
  });

  it("loses its shards within 7 s also when it was the coordinator", async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const rig = await three({ seed });
      await rig.clock.advance(seed * 317);
      const gone = leader(rig);
      rig.crash(gone);
      await settled(rig, 7_000);
      expect(leader(rig).cluster.coordinator().term).toBe(2);
      for (const { left } of rig.up) expect(left).toEqual([gone.nodeId]);
    }
  });

  it("of two, too", async () => {
    const rig = new Rig();
    rig.join("a");
    rig.join("b");
    await settled(rig, START_MS);
    rig.crash(leader(rig));
    await settled(rig, 7_000);
  });

  it("is not believed on one voice, and comes back with its shards' epochs raised when two were wrong", async () => {
    const rig = await three({ shards: 12 });
    const [one, two, three_] = rig.up as [RigNode, RigNode, RigNode];
    rig.control.cut(one.nodeId, two.nodeId);
    await rig.clock.advance(20_000);
    const coordinatorCut = rig.leader === one || rig.leader === two;
    if (!coordinatorCut) expect(version(rig)).toBe(one.cluster.table()?.version);
    expect([...one.left, ...three_.left]).toEqual([]);
    rig.control.cut(one.nodeId, three_.nodeId);
    await rig.becomes(() => three_.left.includes(one.nodeId) && two.left.includes(one.nodeId), 10_000);
    rig.control.heal();
    await settled(rig, 15_000);
  });

  it("says so when it leaves in order, and nobody waits", async () => {
    const rig = await three();
    const leaving = leader(rig);
    expect(await rig.until(leaving.cluster.drain())).toBe(true);
    expect(leaving.acting.size).toBe(0);
    await rig.close(leaving);
    expect(await settled(rig, 2_000)).toBeLessThan(1_500);
    expect(rig.store.snapshot().members.has(leaving.nodeId)).toBe(false);
    for (const { left } of rig.up) expect(left).toEqual([leaving.nodeId]);
  });

  it("does not wait for a drain that has nowhere to go", async () => {
    const rig = new Rig();
    const node = rig.join("a");
    await settled(rig, START_MS);
    const startedMs = rig.clock.monotonicMs();
    expect(await rig.until(node.cluster.drain())).toBe(false);
    expect(rig.clock.monotonicMs() - startedMs).toBeLessThan(100);
  });

  it("is suspected by nobody who has lost the way itself, or stood still", async () => {
    const rig = await three();
    const alone = follower(rig);
    rig.control.disconnect(alone.nodeId);
    await rig.clock.advance(4_000);
    rig.control.heal();
    await rig.clock.advance(3_000);
    const before = alone.cluster.stats().suspicions;
    rig.control.disconnect(alone.nodeId);
    await rig.clock.advance(20_000);
    expect(alone.cluster.stats().suspicions).toBe(before);
    rig.control.heal();
    await settled(rig, 15_000);
    for (const node of rig.up) node.pause();
    await rig.clock.advance(60_000);
    for (const node of rig.nodes) node.resume();
    await settled(rig, 10_000);
    expect(alone.cluster.stats().suspicions).toBe(before);
  });
});

describe("without Consul", () => {
  it("nothing moves for two minutes, nobody is thought dead, and afterwards everything goes on", async () => {
    const rig = await three();
    const before = version(rig);
    const epochs = rig.up.map(({ acting }) => [...acting]);
    for (const { nodeId } of rig.up) rig.store.cut(nodeId);
    await rig.clock.advance(120_000);
    expect(rig.unsettled()).toBeUndefined();
    expect(rig.up.map(({ acting }) => [...acting])).toEqual(epochs);
    for (const { cluster, left } of rig.up) {
      expect(cluster.stats()).toMatchObject({ leaseOver: 1, version: before, members: 3 });
      expect(left).toEqual([]);
    }
    rig.store.heal();
    const newcomer = rig.join("d");
    await settled(rig, 15_000);
    expect(newcomer.acting.size).toBe(4);
    for (const { cluster, left } of rig.up) {
      expect(cluster.stats().leaseOver).toBe(0);
      expect(left).toEqual([]);
    }
    expect(rig.store.sessions).toBe(4);
  });

  it("a node takes no new shard once its lease is over", async () => {
    const rig = await three();
    const cut = follower(rig);
    rig.store.cut(cut.nodeId);
    await rig.clock.advance(9_000);
    expect(cut.cluster.stats().leaseOver).toBe(1);
    const gone = rig.up.find((node) => node !== cut && node !== rig.leader) as RigNode;
    const had = cut.acting.size;
    rig.crash(gone);
    await rig.clock.advance(8_000);
    expect(cut.acting.size).toBe(had);
    expect(leader(rig).acting.size).toBe(rig.shards - had);
    rig.store.heal();
    rig.crash(gone);
    await settled(rig, 30_000);
  });
});

describe("Consul's data that went back", () => {
  it("does not take epochs back", async () => {
    const rig = await three();
    const old = rig.store.snapshot();
    rig.crash(follower(rig));
    await settled(rig, 7_000);
    rig.join("d");
    await settled(rig, 7_000);
    const highest = Math.max(...rig.up.flatMap(({ acting }) => [...acting.values()]));
    rig.store.restore(old);
    await rig.clock.advance(1_000);
    await settled(rig, 25_000);
    for (const { acting } of rig.up) for (const epoch of acting.values()) expect(epoch).toBeGreaterThan(highest);
    expect(rig.up.reduce((sum, { cluster }) => sum + cluster.stats().lifts, 0)).toBeGreaterThan(0);
  });

  it("does not take epochs back when the coordinator dies with it", async () => {
    const rig = await three();
    const old = rig.store.snapshot();
    const shard = [...follower(rig).acting.keys()][0] as number;
    rig.crash(leader(rig));
    await settled(rig, 7_000);
    rig.join("d");
    await settled(rig, 7_000);
    const highest = Math.max(...rig.up.flatMap(({ acting }) => [...acting.values()]));
    expect(highest).toBeGreaterThan(1);
    rig.crash(leader(rig));
    rig.store.restore(old);
    await settled(rig, 60_000);
    for (const { acting } of rig.up) for (const epoch of acting.values()) expect(epoch).toBeGreaterThan(highest);
    expect(rig.up[0]?.cluster.placement.ownerOf(shard)?.epoch).toBeGreaterThan(highest);
  });

  it("as garbage, is left alone until an operator removes it", async () => {
    const rig = await three();
    rig.store.overwrite("placement", new Uint8Array([1, 2, 3]));
    await rig.clock.advance(20_000);
    expect(rig.unsettled()).toBeUndefined();
    expect(rig.store.snapshot().values.get("placement")?.bytes).toHaveLength(3);
    expect(rig.up.some(({ cluster }) => cluster.coordinator().phase === "halted")).toBe(true);
    rig.store.remove("placement");
    await rig.clock.advance(6_000);
    await settled(rig, 3_000);
    expect(rig.store.snapshot().values.get("placement")?.bytes.length).toBeGreaterThan(3);
  });
});

describe("a move", () => {
  it("by hand goes where it is sent, with and without a hand-off", async () => {
    const rig = await three({ shards: 30 });
    const to = follower(rig);
    const shard = [...leader(rig).acting.keys()][0] as number;
    const answers = answersOf(rig);
    order(rig, answers, { number: 1, move: { shard, to: to.nodeId.split("#")[0] as string, force: false } });
    await rig.becomes(() => answers.codes.length === 1, 1_000);
    expect(answers.codes).toEqual([""]);
    await rig.becomes(() => to.acting.get(shard) === 2, 100);
    const back = leader(rig);
    order(rig, answers, { number: 2, move: { shard, to: back.nodeId, force: true } });
    await rig.becomes(() => back.acting.get(shard) === 3, 1_000);
    expect(back.cluster.stats().moves).toMatchObject({ handoffs: 1, forced: 1 });
  });

  it("is refused for a shard or a node that is not there, and by who is not the coordinator", async () => {
    const rig = await three();
    const answers = answersOf(rig);
    order(rig, answers, { number: 1, move: { shard: 99, to: "a", force: false } });
    order(rig, answers, { number: 2, move: { shard: 1, to: "nobody", force: false } });
    order(rig, answers, { number: 3, move: { shard: 1, to: "a", force: false } }, follower(rig));
    await rig.becomes(() => answers.codes.length === 3, 1_000);
    expect([...answers.codes].sort()).toEqual(["NOT_COORDINATOR", "NO_SUCH_NODE", "NO_SUCH_SHARD"].sort());
  });

  it("drains a node on order", async () => {
    const rig = await three();
    const answers = answersOf(rig);
    const target = follower(rig);
    order(rig, answers, { number: 1, drain: {} }, target);
    await rig.becomes(() => answers.codes.length === 1, 5_000);
    expect(answers.codes).toEqual([""]);
    expect(target.acting.size).toBe(0);
    expect(target.cluster.membership.members().find(({ nodeId }) => nodeId === target.nodeId)?.status).toBe("draining");
  });

  it("goes on without an owner that does not finish", async () => {
    const rig = new Rig({ shards: 8, handoffTakesMs: () => 3_600_000 });
    rig.join("a");
    await settled(rig, START_MS);
    const second = rig.join("b");
    await rig.clock.advance(19_000);
    expect(second.acting.size).toBe(0);
    await rig.becomes(() => second.acting.size === 4, 4_000);
    expect(leader(rig).cluster.stats().moves.overdue).toBe(4);
    await settled(rig, 1_000);
  });

  it("whose coordinator dies in the middle ends with a higher epoch all the same", async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const rig = await three({ seed, shards: 64, handoffTakesMs: (_, random) => random.next() * 200 });
      rig.join("d");
      await rig.becomes(() => (rig.leader?.cluster.coordinator().handoffs ?? 0) > 0, 2_000);
      await rig.clock.advance(seed * 30);
      rig.crash(leader(rig));
      await settled(rig, 12_000);
    }
  });
});

describe("many moves", () => {
  it("(C6) leave no more shards without service at once than the setting allows, until the new owners serve them", async () => {
    const arrivalTakesMs = () => 300;
    const rig = await three({ shards: 64, settings: { movesAtOnce: 4 }, arrivalTakesMs });
    await rig.clock.advance(1_000);
    const newcomer = rig.join("d");
    let most = 0;
    await rig.becomes(
      () => {
        most = Math.max(most, 64 - rig.up.reduce((sum, { serving }) => sum + serving.size, 0));
        return newcomer.serving.size >= 14;
      },
      10_000,
      "its share",
    );
    expect(most).toBe(4);
    await settled(rig, 1_000);
    const { handoffMs } = leader(rig).cluster.stats();
    expect(handoffMs.count).toBeGreaterThanOrEqual(14);
    expect(handoffMs.sum / handoffMs.count).toBeGreaterThan(300);
  });

  it("(C6) go on past a new owner that does not tell that it serves", async () => {
    const rig = await three({ shards: 64, settings: { movesAtOnce: 8 }, arrivalTakesMs: () => 1e9 });
    await rig.clock.advance(10_000);
    rig.join("d");
    expect(await settled(rig, 10_000)).toBeGreaterThan(rig.settings.arrivalMs);
    expect(leader(rig).cluster.stats().handoffMs.count).toBe(0);
  });

  it("are counted with the time that they took, also those that were not waited for", async () => {
    const rig = await three({ shards: 64, arrivalTakesMs: () => 7_000 });
    await rig.clock.advance(10_000);
    rig.join("d");
    await settled(rig, 20_000);
    await rig.clock.advance(10_000);
    const { handoffMs } = leader(rig).cluster.stats();
    expect(handoffMs.count).toBeGreaterThanOrEqual(14);
    expect(handoffMs.max).toBeGreaterThan(7_000);
  });
});

describe("a coordinator that stood still", () => {
  it("(C1) writes nothing of what it had planned", async () => {
    let hangs = false;
    const settings = { suspectMs: 2_000, handoffMs: 4_000 }; // so that it wakes while its lease still holds
    const rig = new Rig({ settings, handoffTakesMs: () => (hangs ? 3_600_000 : 5) });
    const old = rig.join("a");
    await settled(rig, START_MS);
    for (const name of ["b", "c"]) rig.join(name);
    const leaving = rig.join("x");
    await settled(rig, START_MS);
    expect(rig.leader).toBe(old);
    hangs = true;
    leaving.cluster.tell({ status: "draining" });
    await rig.becomes(() => old.cluster.coordinator().handoffs > 0, 2_000);
    await rig.clock.advance(1_000);
    old.pause();
    for (const { nodeId } of rig.up) rig.control.cut(nodeId, old.nodeId); // and nobody tells it, either
    await rig.becomes(() => rig.leader !== undefined, 4_000);
    // The next one gives all of them to itself, some of which the old one had planned to take.
    const next = leader(rig);
    const answers = answersOf(rig);
    const shards = [...leaving.acting.keys()];
    for (const shard of shards) order(rig, answers, { number: shard, move: { shard, to: next.nodeId, force: true } });
    await rig.becomes(() => answers.codes.length === shards.length, 500);
    await rig.clock.advance(500);
    old.resume();
    await rig.clock.advance(50);
    expect(old.cluster.stats().leaseOver).toBe(0);
    await rig.clock.advance(1_000);
    expect(rig.violations).toEqual([]);
    expect(old.cluster.coordinator()).toMatchObject({ phase: "following", term: 2, nodeId: next.nodeId });
  });
});

describe("a shard that was found lost", () => {
  it("gets an epoch above what was seen at the store, and keeps its owner", async () => {
    const rig = await three();
    const node = follower(rig);
    const shard = [...node.acting.keys()][0] as number;
    const epoch = node.acting.get(shard) as number;
    node.acting.delete(shard);
    node.cluster.placement.reportLost({ shard, epoch }, 41);
    await rig.becomes(() => node.acting.get(shard) === 42, 1_000);
    node.acting.delete(shard);
    node.cluster.placement.reportLost({ shard, epoch: 42 }, 42); // another claimed the very same
    await rig.becomes(() => node.acting.get(shard) === 43, 1_000);
    await settled(rig, 1_000);
    node.cluster.placement.reportLost({ shard, epoch: 42 }, 43); // of the past
    await rig.clock.advance(5_000);
    expect(node.acting.get(shard)).toBe(43);
  });

  it("is reported until the coordinator hears of it", async () => {
    const rig = await three();
    const node = follower(rig);
    const shard = [...node.acting.keys()][0] as number;
    node.acting.delete(shard);
    rig.control.lose(1);
    node.cluster.placement.reportLost({ shard, epoch: 1 }, 5);
    await rig.clock.advance(2_000);
    rig.control.heal();
    await rig.becomes(() => node.acting.get(shard) === 6, 2_000);
  });
});

describe("control messages", () => {
  it("that are not ours are counted and dropped", async () => {
    const rig = await three();
    const node = follower(rig);
    const stranger = rig.control.join("stranger#1");
    stranger.open({ onMessage() {}, onConnected() {} });
    const clusterId = JSON.parse(new TextDecoder().decode(rig.store.snapshot().values.get("config")?.bytes)).clusterId;
    const beat = { beat: { version: 1e9, digest: 0, draining: false, leaseOver: false } };
    stranger.send(node.nodeId, encodeControl(clusterId, beat));
    stranger.send(node.nodeId, encodeControl("another", beat));
    stranger.send(node.nodeId, encodeControl(clusterId, beat).slice(0, -3));
    stranger.send(node.nodeId, new Uint8Array(100_000));
    stranger.send(node.nodeId, Uint8Array.of(8, 99));
    stranger.send(node.nodeId, encodeControl(clusterId, {}));
    await rig.clock.advance(100);
    expect(node.cluster.stats().dropped).toEqual({
      tooLarge: 1,
      malformed: 1,
      protocol: 2,
      foreign: 1,
      stranger: 1,
      stale: 0,
    });
    await settled(rig, 100);
  });
});

describe("what a node tells of itself", () => {
  it("reaches all: its addresses at once, its sessions within seconds", async () => {
    const rig = await three();
    const [one, other] = rig.up as [RigNode, RigNode];
    const seen = () => other.cluster.membership.members().find(({ nodeId }) => nodeId === one.nodeId);
    one.cluster.tell({ wsUrl: "wss://one" });
    await rig.becomes(() => seen()?.wsUrl === "wss://one", 100);
    const { index } = rig.store.snapshot();
    for (let sessions = 1; sessions <= 100; sessions++) one.cluster.tell({ sessions });
    await rig.becomes(() => seen()?.sessions === 100, 6_000);
    expect(rig.store.snapshot().index - index).toBeLessThanOrEqual(2);
  });

  it("reaches all at once when it is how many sessions there may be: without it a gateway counts as full", async () => {
    const rig = await three();
    const [one, other] = rig.up as [RigNode, RigNode];
    const seen = () => other.cluster.membership.members().find(({ nodeId }) => nodeId === one.nodeId);
    one.cluster.tell({ sessions: 0, sessionsMax: 1_000 });
    await rig.becomes(() => seen()?.sessionsMax === 1_000, 100);
    const { index } = rig.store.snapshot();
    for (let sessions = 1; sessions <= 100; sessions++) one.cluster.tell({ sessions, sessionsMax: 1_000 });
    await rig.becomes(() => seen()?.sessions === 100, 6_000);
    expect(rig.store.snapshot().index - index).toBeLessThanOrEqual(2);
  });
});

interface Answers {
  readonly codes: string[];
  readonly control: ReturnType<Rig["control"]["join"]>;
}

function answersOf(rig: Rig): Answers {
  const control = rig.control.join("cli-1#1");
  const codes: string[] = [];
  control.open({
    onMessage(_from, bytes) {
      const { message } = decode(rig, bytes);
      if (message?.orderReply != null) codes.push(message.orderReply.code);
    },
    onConnected() {},
  });
  return { codes, control };
}

function clusterIdOf(rig: Rig): string {
  return JSON.parse(new TextDecoder().decode(rig.store.snapshot().values.get("config")?.bytes)).clusterId;
}

function decode(rig: Rig, bytes: Uint8Array) {
  return decodeControl(clusterIdOf(rig), bytes, 65_536);
}

function order(rig: Rig, { control }: Answers, told: Order, to = leader(rig)): void {
  control.send(to.nodeId, encodeControl(clusterIdOf(rig), { order: told }));
}
