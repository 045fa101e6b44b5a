import { describe, expect, it } from "vitest";
import { silentLogger } from "../logger.ts";
import { createVirtualClock } from "../virtual-clock.ts";
import type { Candidate } from "./balance.ts";
import { Coordinator } from "./coordinator.ts";
import type { ControlBody } from "./messages.ts";
import { type PlacementSettings, placementDefaults as settings } from "./settings.ts";
import { newStats } from "./stats.ts";
import { createMemoryStore } from "./store-memory.ts";
import { decodeTable, type ShardTable } from "./table.ts";
import { type CoordinatorValue, encodeValue } from "./values.ts";

const SHARDS = 4;

async function lead(own: Partial<PlacementSettings> = {}) {
  const clock = createVirtualClock();
  const memory = createMemoryStore({ clock, delayMs: 2 });
  const store = memory.connect("me");
  const nodes: Candidate[] = ["me", "you"].map((nodeId) => ({ nodeId, version: "", takes: true, draining: false }));
  const sent: ControlBody[] = [];
  const state: { table?: ShardTable; deposed?: CoordinatorValue | undefined } = {};
  const stats = newStats();
  const key = store.write("coordinator", encodeValue({ term: 1, nodeId: "me" }), 0);
  await clock.advance(10);
  const coordinator = new Coordinator(
    { term: 1, version: (await key) as number },
    {
      nodeId: "me",
      shardCount: SHARDS,
      settings: { ...settings, ...own },
      clock,
      store,
      log: silentLogger,
      stats,
      candidates: () => nodes,
      peers: () => [],
      ownReport: () => ({
        term: 1,
        highestTerm: 1,
        version: state.table?.version ?? 0,
        digest: state.table?.digest ?? 0,
        epochs: state.table?.owners.map(({ epoch }) => epoch) ?? new Array(SHARDS).fill(0),
        held: null,
        released: null,
      }),
      send: (_to, body) => void sent.push(body),
      broadcast: (body) => void sent.push(body),
      adopt: (table) => void (state.table = table),
      deposed: (by) => void (state.deposed = by),
    },
  );
  await clock.advance(1_000);
  const stored = () => decodeTable(memory.snapshot().values.get("placement")?.bytes as Uint8Array, SHARDS);
  return { clock, memory, coordinator, state, sent, stats, stored, nodes };
}

describe("the coordinator", () => {
  it("begins with a table that gives every shard an owner", async () => {
    const { coordinator, stored, state } = await lead();
    expect(coordinator.phase).toBe("working");
    expect(
      stored()
        .owners.map(({ nodeId }) => nodeId)
        .sort(),
    ).toEqual(["me", "me", "you", "you"]);
    expect(state.table).toEqual(stored());
  });

  it("(C1) writes nothing once the key is another's, although the table is still its own", async () => {
    const { clock, memory, coordinator, stored, state, stats } = await lead();
    const before = stored();
    memory.overwrite("coordinator", encodeValue({ term: 2, nodeId: "you" }));
    const shard = before.owners.findIndex(({ nodeId }) => nodeId === "me");
    const moved = coordinator.move(shard, "you", true).catch((error) => error.code);
    await clock.advance(1_000);
    expect(await moved).toBe("NOT_COORDINATOR");
    expect(stored()).toEqual(before);
    expect(state).toMatchObject({ table: before, deposed: { term: 2, nodeId: "you" } });
    expect(stats.casConflicts).toBe(1);
  });

  it("(C1) takes the key again, under a new term, when Consul's data went back", async () => {
    const { clock, memory, coordinator, stored, state } = await lead();
    const version = state.table?.version ?? 0;
    memory.overwrite("coordinator", encodeValue({ term: 0, nodeId: "long ago" }));
    memory.remove("placement");
    void coordinator.shown(undefined);
    await clock.advance(1_000);
    expect(coordinator.term).toBe(2);
    expect(stored().version).toBeGreaterThan(version);
    expect(stored().owners.every(({ epoch }) => epoch > settings.epochGap)).toBe(true);
  });

  it("finds out what became of a write whose answer was lost", async () => {
    const { clock, memory, coordinator, stored, state } = await lead();
    const shard = stored().owners.findIndex(({ nodeId }) => nodeId === "me");
    memory.loseReplies("me");
    void coordinator.move(shard, "you", true).catch(() => {});
    await clock.advance(3_000);
    expect(stored().owners[shard]).toEqual({ nodeId: "you", epoch: 2 });
    expect(state.table?.owners[shard]?.nodeId).toBe("me"); // nothing was said that is not known
    memory.heal();
    await clock.advance(3_000);
    expect(state.table).toEqual(stored());
    expect(state.table?.owners[shard]).toMatchObject({ nodeId: "you", epoch: 2 });
  });

  it("(C6) holds a place for a shard until its new owner serves this tenure of it, and not one before", async () => {
    const { clock, coordinator, sent, stored, nodes } = await lead({ movesAtOnce: 1 });
    const all = [0, 1, 2, 3];
    const epochs = () => stored().owners.map(({ epoch }) => epoch);
    coordinator.serving({ shards: all, epochs: epochs() });
    nodes[1] = { ...(nodes[1] as Candidate), draining: true };
    const asked = () => sent.flatMap(({ beginHandoff }) => beginHandoff?.tenures?.shards ?? []);
    coordinator.tick();
    const [first = -1] = asked();
    expect(asked()).toEqual([first]);
    coordinator.handoffDone("you", { shards: [first], epochs: [1] });
    await clock.advance(100);
    expect(stored().owners[first]).toEqual({ nodeId: "me", epoch: 2 });
    coordinator.serving({ shards: [first], epochs: [1] });
    expect(new Set(asked())).toEqual(new Set([first]));
    coordinator.serving({ shards: [first], epochs: [2] });
    expect(new Set(asked()).size).toBe(2);
  });

  it("asks for a hand-off each second, and moves the shard once, however often it is answered", async () => {
    const { clock, coordinator, sent, stored } = await lead();
    const shard = stored().owners.findIndex(({ nodeId }) => nodeId === "you");
    const moved = coordinator.move(shard, "me", false);
    for (let quarter = 0; quarter < 12; quarter++) {
      await clock.advance(250);
      coordinator.tick();
    }
    const asked = sent.filter(({ beginHandoff }) => beginHandoff?.tenures?.shards.includes(shard));
    expect(asked.length).toBeGreaterThanOrEqual(3);
    const done = { shards: [shard], epochs: [1] };
    for (let time = 0; time < 3; time++) coordinator.handoffDone("you", done);
    await clock.advance(1);
    coordinator.handoffDone("you", done); // while it is being written
    await clock.advance(100);
    coordinator.handoffDone("you", done);
    await moved;
    await clock.advance(1_000);
    expect(stored().owners[shard]).toEqual({ nodeId: "me", epoch: 2 });
  });
});
