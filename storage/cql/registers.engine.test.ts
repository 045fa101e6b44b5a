import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Stores } from "../stores.ts";
import { makeKeyspace, type TestKeyspace } from "./keyspace.test-rig.ts";

let ring: TestKeyspace;
let stores: Stores;
beforeAll(async () => {
  ring = await makeKeyspace();
  stores = await ring.open("node#1");
});
afterAll(async () => {
  await stores.close();
  await ring.drop();
});

/** What a member of the ring says of one read: how many dead things it stepped over. */
async function tombstonesIn(query: string): Promise<number> {
  const { driver } = ring.connected;
  const { info } = await driver.execute(query, [], { prepare: false, traceQuery: true });
  for (;;) {
    const select = "SELECT activity FROM system_traces.events WHERE session_id = ?";
    const { rows } = await driver.execute(select, [info.traceId], { consistency: 1 });
    const found = rows.map((row) => /and (\d+) tombstone cells/.exec(row.activity as string)?.[1]);
    const counts = found.filter((count) => count !== undefined).map(Number);
    if (counts.length > 0) return Math.max(...counts);
    await ring.connected.driver.execute("SELECT name FROM identity LIMIT 1");
  }
}

describe("registers on the ring", () => {
  it("keeps a large inbox, written at once, and lists all of it over several answers", async () => {
    const writes = Array.from({ length: 2_500 }, (_, i) => ({
      family: "inbox" as const,
      owner: "7",
      name: `g${String(i).padStart(5, "0")}`,
      timestamp: i,
      value: Buffer.from(String(i)),
    }));
    await stores.registers.write(writes);
    const kept = await stores.registers.read("inbox", "7");
    expect(kept.map(({ name, timestamp, value }) => `${name}@${timestamp}=${Buffer.from(value)}`)).toEqual(
      writes.map(({ name, timestamp, value }) => `${name}@${timestamp}=${value}`),
    );
  });

  it("keeps the registers of many owners, an empty value among them", async () => {
    const owners = Array.from({ length: 300 }, (_, i) => `o${i}`);
    const common = { family: "head", name: "fanned_out", timestamp: 3, value: new Uint8Array(0) } as const;
    await stores.registers.write(owners.map((owner) => ({ ...common, owner })));
    for (const owner of ["o0", "o299"]) {
      const [register] = await stores.registers.read("head", owner);
      expect([register?.name, register?.timestamp, register?.value.byteLength]).toEqual(["fanned_out", 3, 0]);
    }
  });

  it("tells what it did", async () => {
    const before = stores.stats();
    await stores.registers.write([{ family: "head", owner: "s", name: "n", timestamp: 1, value: Buffer.from("abc") }]);
    const after = stores.stats();
    expect([after.writes - before.writes, after.bytes - before.bytes, after.commits - before.commits]).toEqual([
      1, 3, 1,
    ]);
    expect((after.ring?.requests ?? 0) - (before.ring?.requests ?? 0)).toBe(1);
    expect(after.ring).toMatchObject({ inFlight: 0, waiting: 0, refused: 0 });
  });
});

describe("the wake list on the ring", () => {
  it("has few tombstones after many rows have come and gone", { timeout: 120_000 }, async () => {
    const shard = 1;
    const actors = Array.from({ length: 20 }, (_, i) => `channel/g${i}`);
    const slots = 40;
    for (let slot = 0; slot < slots; slot++) {
      await Promise.all(actors.map((actor) => stores.wake.register({ shard, epoch: 5 }, slot, actor)));
      if (slot > 0) {
        const closed = actors.map((actor) => ({ epoch: 5, slot: slot - 1, actor }));
        await stores.wake.remove(shard, closed);
      }
    }
    expect(await stores.wake.list(shard)).toHaveLength(actors.length);
    // One range covers them all; each row by itself would have left 780.
    expect(await tombstonesIn(`SELECT * FROM wake WHERE shard = ${shard}`)).toBeLessThan(10);
  });
});
