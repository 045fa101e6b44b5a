// What the fence rests on, seen on a real ring.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EPOCH_MAX, stamp } from "../../runtime/index.ts";
import type { CellBatch, QuorumStore } from "../fence/port.ts";
import { everything, openLog } from "../log/contract.ts";
import { storageDefaults } from "../settings.ts";
import { CqlClient } from "./client.ts";
import { clock, makeKeyspace, nodeOver, scoped, type TestKeyspace } from "./keyspace.test-rig.ts";
import { createCqlQuorumStore } from "./quorum-store.ts";
import { routingKeyOf } from "./routing-key.ts";

let ring: TestKeyspace;
beforeAll(async () => {
  ring = await makeKeyspace();
});
afterAll(() => ring.drop());

const rows = (...texts: readonly (readonly [number, string])[]) =>
  texts.map(([id, text]) => ({ id, cell: Buffer.from(text) }));

const batch = (epoch: number, texts: readonly (readonly [number, string])[], above?: number): CellBatch => ({
  channelId: "g1",
  bucket: 0,
  tombstone: above === undefined ? undefined : { above, timestamp: stamp(epoch, 0) },
  rows: rows(...texts),
  timestamp: stamp(epoch, 1),
});

async function shown(store: QuorumStore): Promise<string[]> {
  const cells = await store.readCells("g1", 0, 1, 1_000);
  return cells.map(({ id, cell, writetime }) => `${id}:${Buffer.from(cell).toString()}@${writetime}`);
}

describe("the log's table", () => {
  it("shows nothing of an older owner's rows that land after the tombstone of a newer one", async () => {
    const store = scoped(ring.store);
    await store.writeCells(batch(5, [[1, "new"]], 0));
    await store.writeCells(batch(4, [[1, "late"], [2, "late"]])); // biome-ignore format: a batch a line
    expect(await shown(store)).toEqual([`1:new@${stamp(5, 1)}`]);
  });

  it("keeps an older owner's row above a tombstone that comes late, if a newer one has copied it", async () => {
    const store = scoped(ring.store);
    await store.writeCells(batch(5, [[1, "kept"]], 0));
    await store.writeCells(batch(4, [], 0));
    expect(await shown(store)).toEqual([`1:kept@${stamp(5, 1)}`]);
  });

  it("lets a copy with a higher stamp beat the original that lands late", async () => {
    const store = scoped(ring.store);
    await store.writeCells(batch(6, [[1, "a copy"]]));
    await store.writeCells(batch(5, [[1, "z original"]])); // the larger value, but that counts at equal stamps only
    expect(await shown(store)).toEqual([`1:a copy@${stamp(6, 1)}`]);
  });

  it("does not bury the rows of a batch under the batch's own tombstone, whatever the epoch", async () => {
    for (const epoch of [1, 5_000, EPOCH_MAX]) {
      const store = scoped(ring.store);
      await store.writeCells(batch(epoch, [[1, "x"]], 0));
      expect(await shown(store)).toEqual([`1:x@${stamp(epoch, 1)}`]);
    }
  });

  it("takes the same batch twice", async () => {
    const store = scoped(ring.store);
    for (let time = 0; time < 2; time++) await store.writeCells(batch(3, [[1, "x"], [2, "y"]], 0)); // biome-ignore format: likewise
    expect(await shown(store)).toEqual([`1:x@${stamp(3, 1)}`, `2:y@${stamp(3, 1)}`]);
  });

  it("takes batches of several channels in one request, each with its own tombstone and stamps", async () => {
    const settings = { ...storageDefaults, togetherAbove: 0 };
    const client = new CqlClient(ring.connected, settings, clock);
    const store = scoped(createCqlQuorumStore(client, settings));
    const of = (channelId: string, epoch: number) => {
      const texts = [1, 2].map((id) => [id, `${channelId} ${id}`] as const);
      return { ...batch(epoch, texts, 0), channelId };
    };
    const older = [1, 3].map((id) => [id, "older"] as const);
    await Promise.all([store.writeCells(batch(9, older)), store.writeCells(of("g3", 8))]);
    const { requests, writesTogether } = client.traffic();
    await Promise.all([of("g1", 10), of("g2", 5_000), of("g3", 7)].map((each) => store.writeCells(each)));
    const after = client.traffic();
    expect([after.requests - requests, after.writesTogether - writesTogether]).toEqual([1, 3]);
    const found = await Promise.all(["g1", "g2", "g3"].map((channelId) => store.readCells(channelId, 0, 1, 1_000)));
    expect(found.map((cells) => cells.map(({ id, cell, writetime }) => `${id}:${cell}@${writetime}`))).toEqual([
      [`1:g1 1@${stamp(10, 1)}`, `2:g1 2@${stamp(10, 1)}`],
      [`1:g2 1@${stamp(5_000, 1)}`, `2:g2 2@${stamp(5_000, 1)}`],
      [`1:g3 1@${stamp(8, 1)}`, `2:g3 2@${stamp(8, 1)}`], // the older one was of a higher epoch
    ]);
  });

  it("takes each batch by itself while little is on its way", async () => {
    const store = scoped(ring.store);
    const { requests } = ring.client.traffic();
    const channelIds = ["g1", "g2", "g3"];
    await Promise.all(channelIds.map((channelId) => store.writeCells({ ...batch(3, [[1, "x"]]), channelId })));
    expect(ring.client.traffic().requests - requests).toBe(channelIds.length);
  });

  it("takes one by one what it refuses together", async () => {
    const settings = { ...storageDefaults, togetherAbove: 0, togetherBytesMax: 1_048_576 }; // far more than the ring allows
    const client = new CqlClient(ring.connected, settings, clock);
    const store = scoped(createCqlQuorumStore(client, settings));
    const channelIds = Array.from({ length: 4 }, (_, at) => `g${at}`);
    const cell = Buffer.alloc(20_000, "x");
    const before = client.traffic().requests;
    await Promise.all(
      channelIds.map((channelId) => store.writeCells({ ...batch(3, []), channelId, rows: [{ id: 1, cell }] })),
    );
    expect(client.traffic().requests - before).toBe(1 + channelIds.length);
    const found = await Promise.all(channelIds.map((channelId) => store.readCells(channelId, 0, 1, 1)));
    expect(found.map((cells) => cells.map((one) => one.cell.byteLength))).toEqual(channelIds.map(() => [20_000]));
  });

  it("lies where its key says", async () => {
    const store = scoped(ring.store, 4_242);
    await store.writeCells(batch(1, [[1, "x"]]));
    const { driver } = ring.connected;
    const { rows: found } = await driver.execute(
      "SELECT channel_id, token(channel_id, bucket) AS at FROM messages WHERE channel_id = ? AND bucket = ?",
      ["4242/g1", 0],
    );
    expect(
      driver.metadata
        .newToken(routingKeyOf(["4242/g1", 0]))
        .getValue()
        .toString(),
    ).toBe(String(found[0]?.at));
  });

  it("reads a whole bucket over several answers, and a range of it", async () => {
    const store = scoped(ring.store);
    for (let from = 1; from <= 1_000; from += 50) {
      const texts = Array.from({ length: 50 }, (_, i) => [from + i, `m${from + i}`] as const);
      await store.writeCells(batch(3, texts));
    }
    const before = ring.client.traffic().requests;
    expect((await store.readCells("g1", 0, 1, 1_000)).map(({ id }) => id)).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i + 1),
    );
    expect(ring.client.traffic().requests - before).toBe(2); // some, and when they are seen to be small, all others
    expect((await store.readCells("g1", 0, 499, 502)).map(({ id }) => id)).toEqual([499, 500, 501, 502]);
  });

  it("reads large rows over more answers, and leaves none out", async () => {
    const store = scoped(ring.store);
    const large = "x".repeat(400_000);
    for (let id = 1; id <= 30; id++) await store.writeCells(batch(3, [[id, large]]));
    const before = ring.client.traffic().requests;
    const cells = await store.readCells("g1", 0, 1, 1_000);
    expect(cells.map(({ id }) => id)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    expect(cells.every(({ cell }) => cell.byteLength === 400_000)).toBe(true);
    expect(ring.client.traffic().requests - before).toBe(9); // sixteen, two at a time, and one that has none
  });
});

describe("claims and revocations", () => {
  it("keeps both of two owners that claim one epoch, and the highest revocation, whatever the order", async () => {
    const store = scoped(ring.store);
    await store.insertClaim(1, { epoch: 7, owner: "a#1" });
    await store.insertClaim(1, { epoch: 7, owner: "b#1" });
    await store.insertClaim(1, { epoch: 9, owner: "c#1" });
    expect(await store.readClaims(1)).toEqual([
      { epoch: 9, owner: "c#1" },
      { epoch: 7, owner: "a#1" },
      { epoch: 7, owner: "b#1" },
    ]);
    await store.insertRevocation("a#1", 1, 9);
    await store.insertRevocation("a#1", 1, 8);
    expect([...(await store.readRevocations("a#1", [1, 2]))]).toEqual([[1, 9]]);
    expect([...(await store.readRevocations("b#1", [1]))]).toEqual([]);
  });

  it("does not bring back a claim that was deleted, when its insertion lands late", async () => {
    const store = scoped(ring.store);
    const claim = { epoch: 7, owner: "a#1" };
    await store.insertClaim(1, claim);
    await store.deleteClaims(1, [claim]);
    await store.insertClaim(1, claim);
    expect(await store.readClaims(1)).toEqual([]);
  });

  it("finds revocations of many shards as of few", async () => {
    const store = scoped(ring.store);
    const shards = Array.from({ length: 60 }, (_, i) => i);
    for (const shard of shards) await store.insertRevocation("a#1", shard, shard + 1);
    const epochs = new Map(shards.map((shard) => [shard, shard + 1]));
    expect(await ring.store.readRevocations("nobody", [1])).toEqual(new Map());
    expect(await store.readRevocations("a#1", shards)).toEqual(epochs);
    const many = [...shards, ...Array.from({ length: 40 }, (_, i) => 100 + i)];
    expect(await store.readRevocations("a#1", many)).toEqual(epochs);
    expect([...(await store.readRevocations("a#1", [7, 900]))]).toEqual([[7, 8]]);
  });
});

describe("a node on the ring", () => {
  const tenure = { shard: 1, epoch: 4 };

  it("counts as settled only what had completed before the verify began", async () => {
    const store = scoped(ring.store);
    let answer = () => {};
    const held: QuorumStore = {
      ...store,
      async writeCells(cells) {
        await store.writeCells(cells); // it is kept, but nobody here knows
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
      },
    };
    const node = nodeOver(held, "a#1");
    await node.fence.claim(tenure);
    const a = await openLog(node.logs, "g1", tenure);
    a.log.append(Buffer.from("x"));
    while ((await store.readCells("g1", 0, 1, 1)).length === 0) await node.fence.verify(tenure);
    await node.fence.verify(tenure);
    expect(a.log.settled).toBe(0);
    const before = node.fence.verifyReads;
    answer();
    await a.settled(1);
    expect(node.fence.verifyReads).toBe(before + 1);
    node.fence.close();
  });

  it("keeps 64 messages in one batch, and one of 400 KB beside them", async () => {
    const store = scoped(ring.store);
    const sizes: number[] = [];
    const counted: QuorumStore = {
      ...store,
      writeCells(cells) {
        sizes.push(cells.rows.length);
        return store.writeCells(cells);
      },
    };
    const node = nodeOver(counted, "a#1");
    await node.fence.claim(tenure);
    const a = await openLog(node.logs, "g1", tenure);
    for (let i = 1; i <= 129; i++) a.log.append(Buffer.from(`m${i}`));
    a.log.append(Buffer.alloc(400_000, 7));
    await a.settled(130);
    expect(sizes).toEqual([1, 64, 64, 1]);
    const found = await node.logs.read("g1", { ...everything, from: 128 });
    expect(found.map(({ id, record }) => [id, record.byteLength])).toEqual([[128, 4], [129, 4], [130, 400_000]]); // biome-ignore format: a table
    node.fence.close();
  });

  it("of three that claimed one after the other, only the last acknowledges, and none of what was acknowledged is lost", async () => {
    const store = scoped(ring.store);
    const acknowledged: string[] = [];
    const nodes = ["a#1", "b#1", "c#1"].map((owner) => nodeOver(store, owner));
    const logs = [];
    for (const [i, node] of nodes.entries()) {
      const mine = { shard: 1, epoch: i + 1 };
      await node.fence.claim(mine);
      const opened = await openLog(node.logs, "g1", mine);
      await opened.log.settleAdopted();
      logs.push(opened);
      for (const [at, each] of logs.entries()) {
        try {
          const text = `${at} in ${i}`;
          const id = each.log.append(Buffer.from(text));
          const settled = each.settled(id).then(() => acknowledged.push(`${id}:${text}`));
          await Promise.race([settled, each.lost]);
        } catch {
          expect(at).toBeLessThan(i); // lost before
        }
      }
    }
    const kept = (await nodes[2]?.logs.read("g1", everything))?.map(({ id, record }) => `${id}:${Buffer.from(record)}`);
    expect(acknowledged).toEqual(["1:0 in 0", "2:1 in 1", "3:2 in 2"]);
    expect(kept).toEqual(acknowledged);
    for (const { fence } of nodes) fence.close();
  });
});
