import { afterAll, beforeAll, expect, it } from "vitest";
import { silentLogger } from "../../runtime/index.ts";
import { storageDefaults } from "../settings.ts";
import { type Connected, connect } from "./connect.ts";
import { contactPoints } from "./keyspace.test-rig.ts";

const REQUESTS = 60;

/** Told of one member alone, at a port that is not the usual one. */
let ring: Connected;
beforeAll(async () => {
  ring = await connect(
    { contactPoints: contactPoints.slice(0, 1), keyspace: "none" },
    undefined,
    storageDefaults,
    silentLogger,
  );
});
afterAll(() => ring.driver.shutdown());

it("who knows one member finds the others, and asks all of them", async () => {
  const asked = new Set<string>();
  for (let request = 0; request < REQUESTS; request++) {
    const { info } = await ring.driver.execute("SELECT key FROM system.local", []);
    asked.add(info.queriedHost);
  }
  expect([...asked].toSorted()).toEqual(contactPoints.toSorted());
});
