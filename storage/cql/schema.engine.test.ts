import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLogger } from "../../runtime/index.ts";
import { storageDefaults } from "../settings.ts";
import { connect } from "./connect.ts";
import {
  clock,
  contactPoints,
  dropKeyspace,
  makeKeyspace,
  newKeyspace,
  type TestKeyspace,
} from "./keyspace.test-rig.ts";
import { applyCqlSchema } from "./schema.ts";
import { openCqlStores } from "./stores.ts";
import { steps } from "./tables.ts";

let ring: TestKeyspace;
const dropped: string[] = [];
beforeAll(async () => {
  ring = await makeKeyspace();
});
afterAll(async () => {
  await ring.drop();
  for (const keyspace of dropped) await dropKeyspace(keyspace);
});

const node = { contactPoints, owner: "node#1", clusterName: "test", shardCount: 64, clock };
const fresh = () => {
  const keyspace = newKeyspace();
  dropped.push(keyspace);
  return keyspace;
};

describe("the schema", () => {
  it("is applied once when five apply it at once, and again without harm", { timeout: 120_000 }, async () => {
    const keyspace = fresh();
    const five = await Promise.all(Array.from({ length: 5 }, () => applyCqlSchema({ contactPoints, keyspace, clock })));
    expect(five.map(({ to }) => to)).toEqual(Array.from({ length: 5 }, () => steps.length));
    expect(await applyCqlSchema({ contactPoints, keyspace, clock })).toEqual({ from: steps.length, to: steps.length });
    // One identity a table on all members, or they would not agree, and would refuse each other's rows.
    const ids = new Set<string>();
    const asked = new Set<string>();
    for (const contactPoint of contactPoints) {
      const { driver } = await connect(
        { contactPoints: [contactPoint], keyspace },
        keyspace,
        storageDefaults,
        silentLogger,
      );
      const query = "SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = ?";
      for (const host of driver.hosts.values()) {
        if (!host.isUp()) continue; // a driver may not have reached all of them yet; each is asked through its own
        asked.add(host.address);
        const { rows } = await driver.execute(query, [keyspace], { host, consistency: 1 });
        ids.add(
          rows
            .map((row) => `${row.table_name}=${row.id}`)
            .toSorted()
            .join(),
        );
      }
      await driver.shutdown();
    }
    expect(asked.size).toBe(contactPoints.length);
    expect(ids.size).toBe(1);
    const stores = await openCqlStores({ ...node, keyspace });
    await stores.close();
  });

  it("lets no read wait for a member that is gone: after a fixed time it asks another", async () => {
    const { driver } = await connect(
      { contactPoints, keyspace: ring.keyspace },
      undefined,
      storageDefaults,
      silentLogger,
    );
    const query = "SELECT table_name, speculative_retry FROM system_schema.tables WHERE keyspace_name = ?";
    const { rows } = await driver.execute(query, [ring.keyspace]);
    await driver.shutdown();
    const found = new Map(rows.map((row) => [row.table_name as string, row.speculative_retry as string]));
    const asks = (after: string) =>
      [...found].filter(([, told]) => told.replace(".0", "").toLowerCase() === after).map(([table]) => table);
    expect(asks("10ms").toSorted()).toEqual(["claims", "revocations"]);
    expect(asks("50ms").toSorted()).toEqual(["head", "identity", "inbox", "messages", "presence", "wake"]);
  });

  it("goes on from the version that it finds", { timeout: 120_000 }, async () => {
    const keyspace = fresh();
    const first = [["CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY)"]];
    const both = [...first, ["CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY)"]];
    expect(await applyCqlSchema({ contactPoints, keyspace, clock, steps: first })).toEqual({ from: 0, to: 1 });
    expect(await applyCqlSchema({ contactPoints, keyspace, clock, steps: both })).toEqual({ from: 1, to: 2 });
    const older = applyCqlSchema({ contactPoints, keyspace, clock, steps: first });
    await expect(older).rejects.toMatchObject({ code: "SCHEMA_TOO_NEW", detail: { found: 2, known: 1 } });
  });
});

describe("a node", () => {
  it("is refused by a keyspace that is not there, and told what to run", async () => {
    const opening = openCqlStores({ ...node, keyspace: newKeyspace() });
    await expect(opening).rejects.toMatchObject({
      code: "SCHEMA_MISSING",
      message: expect.stringContaining("madang schema apply"),
    });
  });

  it("is refused by a keyspace without tables, and by one of a newer version", { timeout: 120_000 }, async () => {
    const keyspace = fresh();
    await applyCqlSchema({ contactPoints, keyspace, clock, steps: [] });
    await expect(openCqlStores({ ...node, keyspace })).rejects.toMatchObject({ code: "SCHEMA_MISSING" });
    await applyCqlSchema({ contactPoints, keyspace, clock, steps: Array.from({ length: steps.length + 1 }, () => []) });
    await expect(openCqlStores({ ...node, keyspace })).rejects.toMatchObject({ code: "SCHEMA_TOO_NEW" });
  });

  it("is refused with another name of its cluster or another number of shards, and changes nothing", async () => {
    const { keyspace } = ring;
    const [one, two] = await Promise.all([openCqlStores({ ...node, keyspace }), openCqlStores({ ...node, keyspace })]);
    const mismatch = { code: "CLUSTER_MISMATCH", detail: { clusterName: "test", shardCount: 64 } };
    await expect(openCqlStores({ ...node, keyspace, shardCount: 65 })).rejects.toMatchObject(mismatch);
    await expect(openCqlStores({ ...node, keyspace, clusterName: "other" })).rejects.toMatchObject(mismatch);
    const again = await openCqlStores({ ...node, keyspace });
    for (const stores of [one, two, again]) await stores.close();
  });

  it("is told within seconds that nobody answers, and where", async () => {
    const nobody = "127.0.0.1:9";
    const began = clock.monotonicMs();
    await expect(openCqlStores({ ...node, contactPoints: [nobody], keyspace: "x" })).rejects.toMatchObject({
      code: "STORE_UNREACHABLE",
      retryable: true,
      message: expect.stringContaining(nobody),
    });
    expect(clock.monotonicMs() - began).toBeLessThan(10_000);
  });

  it("is told that the ring speaks no TLS, or not with it", async () => {
    const opening = openCqlStores({ ...node, keyspace: ring.keyspace, tls: {} });
    await expect(opening).rejects.toMatchObject({ code: expect.stringMatching(/^STORE_(REFUSED|UNREACHABLE)$/) });
  });

  it("that has closed its stores is answered no more", async () => {
    const stores = await openCqlStores({ ...node, keyspace: ring.keyspace });
    await stores.close();
    await stores.close();
    await expect(stores.registers.read("inbox", "1")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(stores.fence.verify({ shard: 1, epoch: 1 })).rejects.toMatchObject({ code: "SHUTTING_DOWN" });
  });
});
