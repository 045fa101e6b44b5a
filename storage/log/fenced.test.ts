import { expect, it } from "vitest";
import { systemClock as clock, seededRandom, stamp } from "../../runtime/index.ts";
import { QuorumFence } from "../fence/quorum.ts";
import { createReplicas, fairWeather } from "../memory/replicas.ts";
import { storageDefaults } from "../settings.ts";
import { createFencedLogs } from "./fenced.ts";

async function threeReplicas() {
  const replicas = createReplicas({ clock, random: seededRandom(1), weather: fairWeather, timeoutMs: 50 });
  const open = async (owner: string, epoch: number, settled = 0, replayFrom = settled + 1) => {
    const read: string[] = [];
    const store = replicas.storeFor(owner);
    const { readCells } = store;
    store.readCells = async (channelId, bucket, from, to) => {
      const cells = await readCells(channelId, bucket, from, to);
      read.push(`${from}–${to}: ${cells.length}`);
      return cells;
    };
    const fence = new QuorumFence({ store, owner, clock });
    const tenure = { shard: 1, epoch };
    await fence.claim(tenure);
    let onSettled = (_through: number) => {};
    const events = { onSettled: (through: number) => onSettled(through), onLost() {} };
    const identityOf = (record: Uint8Array) => Buffer.from(record).toString();
    const logs = createFencedLogs({ store, fence, clock, identityOf });
    const log = await logs.open("g1", tenure, events, { settled, replayFrom });
    /** Appends so many, and resolves when they are settled. */
    const keep = (count: number) =>
      new Promise<void>((resolve) => {
        const through = log.tail + count;
        onSettled = (reached) => reached >= through && resolve();
        while (log.tail < through) log.append(Buffer.from(`m${log.tail + 1}`));
      });
    return { log, read, keep };
  };
  const writeStray = (id: number, text: string) => {
    const cell = Buffer.concat([Buffer.alloc(8), Buffer.from(text)]);
    const rows = [{ id, cell }];
    return replicas
      .storeFor("one#1")
      .writeCells({ channelId: "g1", bucket: 0, tombstone: undefined, rows, timestamp: stamp(1, 1) });
  };
  return { open, writeStray };
}

it("a new owner that replays a log above its hint reads nothing but what it read to find the tail", async () => {
  const { open } = await threeReplicas();
  const first = await open("one#1", 1);
  await first.keep(200);

  const { log, read } = await open("other#1", 2, 120);
  const rows: string[] = [];
  for await (const { record } of log.replay(121)) rows.push(Buffer.from(record).toString());
  expect(rows).toEqual(Array.from({ length: 80 }, (_, i) => `m${121 + i}`));
  expect(read).toEqual(["120–1000: 81", "1–119: 119"]);
});

it("a new owner whose hint is the tail reads one row, however many lie below; where a bucket begins above it, that as well", async () => {
  const { open } = await threeReplicas();
  const first = await open("one#1", 1);
  await first.keep(200);
  const second = await open("other#1", 2, 200);
  expect([second.log.tail, second.log.settled]).toEqual([200, 200]);
  expect(second.read).toEqual(["200–1000: 1"]);
  await second.keep(800);
  const third = await open("third#1", 3, 1_000);
  expect([third.log.tail, third.log.settled]).toEqual([1_000, 1_000]);
  expect(third.read).toEqual(["1000–1000: 1", "1001–2000: 0"]);
});

it("an owner that left when all was settled, but had written its head long before, leaves nothing to adopt and to read twice", async () => {
  const { open } = await threeReplicas();
  const first = await open("one#1", 1);
  await first.keep(200);
  const { log, read } = await open("other#1", 2, 200, 121);
  expect([log.tail, log.settled]).toEqual([200, 200]);
  const rows: number[] = [];
  for await (const { id } of log.replay(121)) rows.push(id);
  expect(rows).toEqual(Array.from({ length: 80 }, (_, i) => 121 + i));
  expect(read).toEqual(["121–1000: 80"]);
});

it("a row above the hint that repeats one below it is not of the log", async () => {
  const { open, writeStray } = await threeReplicas();
  const first = await open("one#1", 1);
  await first.keep(5);
  await writeStray(6, "m2"); // the rest of a batch that an older owner had sent again
  const { log, read } = await open("other#1", 2, 5);
  expect([log.tail, log.settled]).toEqual([5, 5]);
  expect(read).toEqual(["5–1000: 2", "1–4: 4"]);
});

it("a row behind a gap is not of the log, be it above a hint or without one", async () => {
  const { open, writeStray } = await threeReplicas();
  await writeStray(2, "m2");
  const first = await open("one#1", 1);
  expect([first.log.tail, first.log.settled]).toEqual([0, 0]);
  await first.keep(5);
  await writeStray(7, "m7");
  for (const [epoch, settled] of [
    [2, 0],
    [3, 3],
    [4, 5],
  ] as const) {
    const { log } = await open(`later#${epoch}`, epoch, settled);
    expect([log.tail, `hint ${settled}`]).toEqual([5, `hint ${settled}`]);
  }
});

it("rows of an older owner are not settled while the write that copies them has an unknown outcome, however often the fence is asked", async () => {
  const replicas = createReplicas({ clock, random: seededRandom(1), weather: fairWeather, timeoutMs: 50 });
  const cellsOf = (text: string) => [{ id: 1, cell: Buffer.concat([Buffer.alloc(8), Buffer.from(text)]) }];
  const batch = { channelId: "g1", bucket: 0, tombstone: undefined, rows: cellsOf("m1"), timestamp: stamp(1, 1) };
  await replicas.storeFor("one#1").writeCells(batch); // and its owner slept before it had looked at the fence

  const store = replicas.storeFor("other#1");
  const { writeCells } = store;
  let failures = 0;
  store.writeCells = async (copies) => {
    if (failures === 5) return writeCells(copies);
    failures += 1;
    throw new Error("no answer in time");
  };
  const settings = { ...storageDefaults, retryPauseMs: 20, retryPauseMaxMs: 20 };
  const fence = new QuorumFence({ store, owner: "other#1", clock, settings });
  await fence.claim({ shard: 1, epoch: 2 });
  const logs = createFencedLogs({ store, fence, clock, settings, identityOf: () => undefined });
  const told: string[] = [];
  const onSettled = (through: number) => void told.push(`${through} after ${failures} failures`);
  const log = await logs.open("g1", { shard: 1, epoch: 2 }, { onSettled, onLost() {} });
  expect([log.tail, log.settled]).toEqual([1, 0]);
  await log.settleAdopted();
  expect(told).toEqual(["1 after 5 failures"]);
  expect(fence.verifyReads).toBeGreaterThan(1);
});
