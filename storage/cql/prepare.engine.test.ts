import { afterAll, beforeAll, expect, it } from "vitest";
import { silentLogger } from "../../runtime/index.ts";
import { makeKeyspace, type TestKeyspace } from "./keyspace.test-rig.ts";
import { prepareAll } from "./prepare.ts";
import { quorumStatements } from "./quorum-store.ts";
import { registerStatements } from "./registers.ts";
import { wakeStatements } from "./wake.ts";

let ring: TestKeyspace;
beforeAll(async () => {
  ring = await makeKeyspace();
});
afterAll(() => ring.drop());

it("all that the stores say to a ring is prepared before it is needed, and what the ring does not understand is no obstacle", async () => {
  const { driver } = ring.connected;
  const all = [...quorumStatements, ...registerStatements, ...wakeStatements];
  await prepareAll(driver, [...all, "SELECT nothing FROM nowhere"], silentLogger);
  const { metadata } = driver as unknown as {
    metadata: { getPreparedInfo(keyspace: string, query: string): { readonly queryId?: Buffer } };
  };
  const isPrepared = (query: string) => metadata.getPreparedInfo(ring.keyspace, query).queryId !== undefined;
  expect(all.length).toBeGreaterThan(15);
  expect(all.filter((query) => !isPrepared(query))).toEqual([]);
  expect(isPrepared("SELECT nothing FROM nowhere")).toBe(false);
});
