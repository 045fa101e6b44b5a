import { afterAll, beforeAll, expect, it } from "vitest";
import { type Logger, silentLogger } from "../../runtime/index.ts";
import { storageDefaults } from "../settings.ts";
import { type Connected, connect } from "./connect.ts";
import { contactPoints } from "./keyspace.test-rig.ts";

const REQUESTS = 20 * storageDefaults.memberInFlightMin;

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

it("who knows one member finds the others, and asks all of them when there is much to ask", async () => {
  const ask = () => ring.driver.execute("SELECT key FROM system.local", []);
  const calm = await ask();
  expect((await ask()).info.queriedHost).toBe(calm.info.queriedHost);
  const answers = await Promise.all(Array.from({ length: REQUESTS }, ask));
  const asked = new Set(answers.map(({ info }) => info.queriedHost));
  expect([...asked].toSorted()).toEqual(contactPoints.toSorted());
});

it("a member that is not where a node looks for it is told in the log, and the others are asked", async () => {
  const told: unknown[] = [];
  const log: Logger = { ...silentLogger, warn: (fields) => void told.push(fields) };
  const [first = "", second = ""] = contactPoints;
  const nowhere = "127.0.0.1:9";
  const translate = new Map([[second, nowhere]]);
  const { driver } = await connect(
    { contactPoints: [first], keyspace: "none", translate },
    undefined,
    storageDefaults,
    log,
  );
  try {
    expect(told).toEqual([{ member: nowhere }]);
    expect((await driver.execute("SELECT key FROM system.local", [])).info.queriedHost).not.toBe(nowhere);
  } finally {
    await driver.shutdown();
  }
});

it("a row is looked for where it lies, whether the driver is told its key or its place", () => {
  const { driver, members } = ring;
  const keys = Array.from({ length: 100 }, (_, at) => Buffer.from(`user-${at}`));
  // One copy of each row: most of them lie elsewhere.
  const at = (told: object) => driver.getReplicas("system_auth", told as Buffer).map(({ address }) => address);
  expect(keys.map((key) => at(members.place(key).token))).toEqual(keys.map(at));
  expect(new Set(keys.flatMap(at)).size).toBe(contactPoints.length);
});
