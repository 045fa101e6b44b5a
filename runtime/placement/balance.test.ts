import { describe, expect, it } from "vitest";
import { type Random, randomBelow, seededRandom } from "../random.ts";
import { type Candidate, compareVersions, type Plan, plan } from "./balance.ts";

const UNFAIR = 0.1;
const node = (nodeId: string, more: Partial<Candidate> = {}): Candidate => ({
  nodeId,
  version: "1.0.0",
  takes: true,
  draining: false,
  ...more,
});
const nodes = (count: number) => Array.from({ length: count }, (_, at) => node(`n${at}`));
const counts = (owners: readonly string[], of: readonly Candidate[]) =>
  of.map(({ nodeId }) => owners.filter((owner) => owner === nodeId).length);

function after(owners: readonly string[], { orphans, moves }: Plan): string[] {
  const next = [...owners];
  for (const { shard, to } of [...orphans, ...moves]) next[shard] = to;
  return next;
}

interface World {
  readonly owners: readonly string[];
  readonly members: readonly Candidate[];
}

function anyWorld(random: Random, versions: readonly string[]): World {
  const members = nodes(1 + randomBelow(random, 9)).map((one) => ({
    ...one,
    version: versions[randomBelow(random, versions.length)] as string,
    draining: randomBelow(random, 5) === 0,
    takes: randomBelow(random, 8) > 0,
  }));
  const names = [...members.map(({ nodeId }) => nodeId), "", "dead#1"];
  // Some nodes have far more than others.
  const weights = names.map(() => randomBelow(random, 4));
  const bag = names.flatMap((name, at) => new Array<string>(weights[at] as number).fill(name));
  const owners = Array.from(
    { length: 1 + randomBelow(random, 300) },
    () => bag[randomBelow(random, Math.max(1, bag.length))] ?? "",
  );
  return { owners, members };
}

const bounds = (shards: number, takers: number) => {
  const fair = shards / takers;
  return {
    least: Math.min(Math.floor(fair), Math.ceil(fair * (1 - UNFAIR))),
    most: Math.max(Math.ceil(fair), Math.floor(fair * (1 + UNFAIR))),
  };
};

describe("balance, over 2,000 seeded clusters", () => {
  const worlds = Array.from({ length: 2_000 }, (_, seed) => anyWorld(seededRandom(seed), ["1.0.0"]));

  it("gives every shard a living owner that takes shards, if there is one, and moves none twice", () => {
    for (const { owners, members } of worlds) {
      const takers = new Set(members.filter(({ takes, draining }) => takes && !draining).map(({ nodeId }) => nodeId));
      const made = plan(owners, members, UNFAIR);
      const all = [...made.orphans, ...made.moves];
      if (takers.size === 0) expect(all).toEqual([]);
      for (const { shard, to } of all) {
        expect(takers.has(to)).toBe(true);
        expect(owners[shard]).not.toBe(to);
      }
      expect(new Set(all.map(({ shard }) => shard)).size).toBe(all.length);
      if (takers.size === 0) continue;
      const keepers = new Set([...takers, ...members.filter(({ draining }) => !draining).map(({ nodeId }) => nodeId)]);
      expect(after(owners, made).every((owner) => keepers.has(owner))).toBe(true);
    }
  });

  it("leaves every node with its fair share ± 10 %, by as few moves as can do that", () => {
    let moved = 0;
    for (const { owners, members } of worlds) {
      const takers = members.filter(({ takes, draining }) => takes && !draining);
      if (takers.length === 0) continue;
      const kept = counts(
        owners,
        members.filter(({ takes, draining }) => !takes && !draining),
      );
      const { least, most } = bounds(owners.length - kept.reduce((a, b) => a + b, 0), takers.length);
      const made = plan(owners, members, UNFAIR);
      for (const count of counts(after(owners, made), takers)) {
        expect(count).toBeGreaterThanOrEqual(least);
        expect(count).toBeLessThanOrEqual(most);
      }
      const settled = after(owners, { orphans: made.orphans, moves: [] });
      const forced = members.some(({ draining }) => draining);
      if (forced) continue;
      const parts = counts(settled, takers);
      const above = parts.reduce((sum, count) => sum + Math.max(0, count - most), 0);
      const below = parts.reduce((sum, count) => sum + Math.max(0, least - count), 0);
      expect(made.moves.length).toBe(Math.max(above, below));
      moved += made.moves.length;
    }
    expect(moved).toBeGreaterThan(5_000);
  });

  it("has nothing left to do afterwards", () => {
    for (const { owners, members } of worlds) {
      const again = plan(after(owners, plan(owners, members, UNFAIR)), members, UNFAIR);
      const takers = members.some(({ takes, draining }) => takes && !draining);
      if (takers) expect([...again.orphans, ...again.moves]).toEqual([]);
    }
  });

  it("moves nothing for balance while versions are mixed, but places orphans and drains", () => {
    let mixedWorlds = 0;
    for (let seed = 0; seed < 500; seed++) {
      const { owners, members } = anyWorld(seededRandom(seed), ["1.9.0", "1.10.0"]);
      if (new Set(members.map(({ version }) => version)).size < 2) continue;
      if (!members.some(({ takes, draining }) => takes && !draining)) continue;
      mixedWorlds += 1;
      const draining = new Set(members.filter((one) => one.draining).map(({ nodeId }) => nodeId));
      const { orphans, moves } = plan(owners, members, UNFAIR);
      expect(moves.every(({ shard }) => draining.has(owners[shard] as string))).toBe(true);
      expect(orphans.length).toBe(owners.filter((owner) => !members.some(({ nodeId }) => nodeId === owner)).length);
    }
    expect(mixedWorlds).toBeGreaterThan(200);
  });
});

describe("balance", () => {
  it("gives orphans to the newest version first", () => {
    const members = [node("old", { version: "1.9.0" }), node("new", { version: "1.10.0" })];
    const owners = new Array<string>(10).fill("").map((_, shard) => (shard < 4 ? "old" : "dead"));
    const made = plan(owners, members, UNFAIR);
    expect(counts(after(owners, made), members)).toEqual([5, 5]);
    expect(made.orphans.slice(0, 5).every(({ to }) => to === "new")).toBe(true);
  });

  it("moves about a third when a third node joins two", () => {
    const owners = Array.from({ length: 1_024 }, (_, shard) => `n${shard % 2}`);
    const { moves } = plan(owners, nodes(3), UNFAIR);
    expect(moves.length).toBe(308);
    expect(moves.every(({ to }) => to === "n2")).toBe(true);
  });

  it("knows that 0.10 is newer than 0.9", () => {
    expect(compareVersions("0.10.0", "0.9.3")).toBeGreaterThan(0);
    expect(compareVersions("1.0.0", "1.0.0")).toBe(0);
    expect(compareVersions("1.0.0-rc1", "1.0.0-rc2")).toBeLessThan(0);
  });
});
