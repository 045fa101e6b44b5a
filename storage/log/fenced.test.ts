import { expect, it } from "vitest";
import { systemClock as clock, seededRandom } from "../../runtime/index.ts";
import { QuorumFence } from "../fence/quorum.ts";
import { createReplicas, fairWeather } from "../memory/replicas.ts";
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
