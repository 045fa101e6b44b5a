import { expect, it } from "vitest";
import { systemClock as clock, seededRandom, stamp } from "../../runtime/index.ts";
import { QuorumFence } from "../fence/quorum.ts";
import { createReplicas, fairWeather } from "../memory/replicas.ts";
import { storageDefaults } from "../settings.ts";
import { createFencedLogs } from "./fenced.ts";

it("a new owner that replays a log above its hint reads nothing but what it read to find the tail", async () => {
  const replicas = createReplicas({ clock, random: seededRandom(1), weather: fairWeather, timeoutMs: 50 });
  const open = async (owner: string, epoch: number, hint: number) => {
    const read: string[] = [];
    const store = replicas.storeFor(owner);
    const { readCells } = store;
    store.readCells = (channelId, bucket, from, to) => {
      read.push(`${from}–${to}`);
      return readCells(channelId, bucket, from, to);
    };
    const fence = new QuorumFence({ store, owner, clock });
    const tenure = { shard: 1, epoch };
    await fence.claim(tenure);
    let onSettled = (_through: number) => {};
    const events = { onSettled: (through: number) => onSettled(through), onLost() {} };
    const logs = createFencedLogs({ store, fence, clock, identityOf: () => undefined });
    const log = await logs.open("g1", tenure, events, hint);
    const settled = (through: number) =>
      new Promise<void>((resolve) => {
        onSettled = (reached) => reached >= through && resolve();
      });
    return { log, read, settled };
  };
  const first = await open("one#1", 1, 0);
  const done = first.settled(200);
  for (let i = 1; i <= 200; i++) first.log.append(Buffer.from(`m${i}`));
  await done;

  const { log, read } = await open("other#1", 2, 120);
  const rows: string[] = [];
  for await (const { record } of log.replay(121)) rows.push(Buffer.from(record).toString());
  expect(rows).toEqual(Array.from({ length: 80 }, (_, i) => `m${121 + i}`));
  expect(read).toEqual(["1–1000"]);
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
  const log = await logs.open("g1", { shard: 1, epoch: 2 }, { onSettled, onLost() {} }, 0);
  expect([log.tail, log.settled]).toEqual([1, 0]);
  await log.settleAdopted();
  expect(told).toEqual(["1 after 5 failures"]);
  expect(fence.verifyReads).toBeGreaterThan(1);
});
