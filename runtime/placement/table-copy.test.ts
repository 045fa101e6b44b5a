import { expect, it } from "vitest";
import { silentLogger } from "../logger.ts";
import { seededRandom } from "../random.ts";
import { createVirtualClock } from "../virtual-clock.ts";
import { Directory } from "./directory.ts";
import { placementDefaults as settings } from "./settings.ts";
import { newStats } from "./stats.ts";
import type { PlacementStore, Stored } from "./store.ts";
import { changeTable, deltaBetween, makeTable, type ShardTable } from "./table.ts";
import { TableCopy } from "./table-copy.ts";

const first = makeTable(
  1,
  1,
  ["a", "a"].map((nodeId) => ({ nodeId, epoch: 1 })),
);
const next = (table: ShardTable) =>
  changeTable(table, 1, [{ shard: 0, owner: { nodeId: "b", epoch: (table.owners[0]?.epoch ?? 0) + 1 } }]);
const second = next(first);
const third = next(second);

function make() {
  const clock = createVirtualClock();
  const stats = newStats();
  const store: { table: ShardTable | undefined; reads: number } = { table: third, reads: 0 };
  const directory = new Directory({
    nodeId: "me",
    shardCount: 2,
    log: silentLogger,
    mayTake: () => true,
    onNews: () => {},
  });
  directory.open({
    onAssigned: async () => {},
    onHandoff: async () => {},
    onRevoked() {},
    onOwnersChanged() {},
  });
  const read = async (): Promise<Stored | undefined> => {
    store.reads += 1;
    if (store.table === undefined) throw new Error("Consul does not answer");
    return { bytes: store.table.bytes, version: 1 };
  };
  const copy = new TableCopy({
    directory,
    shardCount: 2,
    settings,
    clock,
    random: seededRandom(1),
    store: { read } as unknown as PlacementStore,
    log: silentLogger,
    stats,
  });
  copy.shown({ bytes: first.bytes, version: 1 });
  return { clock, stats, store, copy };
}

it("a change is put on the table that it was made of, and one that is known is left aside", async () => {
  const { clock, copy, store } = make();
  copy.changed(deltaBetween(first, second));
  copy.changed(deltaBetween(first, second));
  await clock.advance(1_000);
  expect([copy.version, store.reads]).toEqual([second.version, 0]);
});

it("where a change was missed the table is read, once for all that were missed meanwhile, and seldom", async () => {
  const { clock, copy, store } = make();
  for (let i = 0; i < 3; i++) copy.changed(deltaBetween(second, third));
  await clock.advance(0);
  expect([copy.version, store.reads]).toEqual([third.version, 1]);
  const [fourth, fifth] = [next(third), next(next(third))];
  copy.changed(deltaBetween(fourth, fifth));
  await clock.advance(settings.refreshMs - 1);
  expect(store.reads).toBe(1);
  store.table = fifth;
  await clock.advance(settings.refreshMs + 1);
  expect([copy.version, store.reads]).toEqual([fifth.version, 2]);
});

it("a read that fails is not the last one, and a table that cannot be read leaves the one before it", async () => {
  const { clock, copy, store, stats } = make();
  store.table = undefined;
  copy.refresh();
  await clock.advance(0);
  store.table = third;
  copy.refresh();
  await clock.advance(2 * settings.refreshMs);
  expect([copy.version, store.reads]).toEqual([third.version, 2]);
  copy.shown({ bytes: third.bytes.slice(0, 9), version: 2 });
  expect([copy.version, stats.corrupt]).toEqual([third.version, 1]);
});

it("nothing is read any more when it is closed", async () => {
  const { clock, copy, store } = make();
  copy.refresh();
  copy.close();
  copy.refresh();
  await clock.advance(1_000);
  expect(store.reads).toBe(0);
});
