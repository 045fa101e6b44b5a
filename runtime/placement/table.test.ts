import { describe, expect, it } from "vitest";
import { PlacementTable } from "../../proto/index.ts";
import { EPOCH_MAX } from "../fence.ts";
import { randomBelow, seededRandom } from "../random.ts";
import type { ShardOwner } from "./port.ts";
import { type Report, recoverTable } from "./recover.ts";
import { applyDelta, changeTable, decodeTable, deltaBetween, emptyTable, makeTable, type ShardTable } from "./table.ts";

const SHARDS = 1_024;
const random = seededRandom(3);
const anyOwner = (): ShardOwner => ({
  nodeId: randomBelow(random, 20) === 0 ? "" : `node-${randomBelow(random, 9)}#00112233aabb`,
  epoch: randomBelow(random, 50) === 0 ? EPOCH_MAX : randomBelow(random, 5_000),
});
const anyTable = (version = 7) => makeTable(3, version, Array.from({ length: SHARDS }, anyOwner));
const corrupt = { code: "PLACEMENT_CORRUPT" };

describe("a table", () => {
  it("comes back from its bytes as it was, and takes a few KB", () => {
    const table = anyTable();
    expect(decodeTable(table.bytes, SHARDS)).toEqual(table);
    expect(table.bytes.length).toBeLessThan(8_192);
  });

  it("(T2) is refused when a byte is missing, changed or added, anywhere", () => {
    const { bytes } = makeTable(1, 1, Array.from({ length: 16 }, anyOwner));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeTable(bytes.subarray(0, length), 16)).toThrow(expect.objectContaining(corrupt));
    }
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] as number) ^ (1 << randomBelow(random, 8));
      expect(() => decodeTable(changed, 16)).toThrow(expect.objectContaining(corrupt));
    }
    expect(() => decodeTable(Uint8Array.of(...bytes, 0), 16)).toThrow(expect.objectContaining(corrupt));
  });

  it("(T2) is refused with another number of shards, or an epoch above all", () => {
    expect(() => decodeTable(anyTable().bytes, SHARDS - 1)).toThrow(expect.objectContaining(corrupt));
    const high = makeTable(1, 1, [{ nodeId: "a", epoch: EPOCH_MAX + 1 }]);
    expect(() => decodeTable(high.bytes, 1)).toThrow(expect.objectContaining(corrupt));
    const strange = makeTable(1, 1, [{ nodeId: "a", epoch: 1 }]);
    expect(PlacementTable.decode(strange.bytes.subarray(8)).owners).toEqual([1]);
  });

  it("becomes the next one by its delta, and by no other", () => {
    const before = anyTable();
    const after = changeTable(before, 4, [
      { shard: 0, owner: { nodeId: "new#1", epoch: 9_000 } },
      { shard: 1_023, owner: { nodeId: "", epoch: 9_001 } },
    ]);
    const delta = deltaBetween(before, after);
    expect(delta.shards).toEqual([0, 1_023]);
    expect(applyDelta(before, delta)).toEqual(after);
    expect(applyDelta(after, delta)).toBeUndefined();
    const other = anyTable();
    expect(applyDelta(other, delta)).toBeUndefined(); // the same version of another history
    expect(applyDelta(before, { ...delta, shards: [0, 5_000] })).toBeUndefined();
    expect(applyDelta(before, { ...delta, epochs: [] })).toBeUndefined();
  });
});

describe("a table that is recovered", () => {
  const GAP = 1_000;
  const two = (epochs: readonly [number, number], version: number) =>
    makeTable(1, version, [
      { nodeId: "a", epoch: epochs[0] },
      { nodeId: "b", epoch: epochs[1] },
    ]);
  const report = (nodeId: string, table: ShardTable, held: [number, number][] = []): Report => ({
    nodeId,
    version: table.version,
    digest: table.digest,
    epochs: table.owners.map(({ epoch }) => epoch),
    held: new Map(held),
  });
  const recover = (stored: ShardTable | undefined, ...reports: Report[]) => recoverTable(9, stored, reports, 2, GAP);

  it("stands as it was read when nobody knows of more", () => {
    const read = two([4, 5], 10);
    expect(recover(read, report("a", read), report("b", two([4, 4], 9)))).toEqual({ table: read, agreed: true });
    expect(recover(undefined, report("a", emptyTable(1, 2)))).toMatchObject({ agreed: true, table: { version: 0 } });
  });

  it("(R1) rises above all that is known when somebody knows of more", () => {
    const read = two([4, 5], 10);
    const { table, agreed } = recover(read, report("a", two([4, 8], 13)), report("b", two([6, 5], 12)));
    expect(agreed).toBe(false);
    expect(table.version).toBe(13);
    expect(table.owners.map(({ epoch }) => epoch)).toEqual([6 + GAP, 8 + GAP]);
  });

  it("(R1) rises also when versions are equal and histories are not, and when there is no table at all", () => {
    const read = two([4, 5], 10);
    expect(recover(read, report("a", two([5, 4], 10))).agreed).toBe(false);
    expect(recover(undefined, report("a", read)).table.owners.map(({ epoch }) => epoch)).toEqual([4 + GAP, 5 + GAP]);
  });

  it("leaves a shard with who acts for it, where the table that was read is older than that", () => {
    const read = two([4, 5], 10);
    const { table } = recover(read, report("c", two([7, 5], 12), [[0, 7]]));
    expect(table.owners.map(({ nodeId }) => nodeId)).toEqual(["c", "b"]);
  });
});
