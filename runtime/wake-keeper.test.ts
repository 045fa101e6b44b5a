import { expect, it } from "vitest";
import type { Activation } from "./activation.ts";
import { silentLogger } from "./logger.ts";
import { createVirtualClock } from "./virtual-clock.ts";
import type { WakeList, WakeRow } from "./wake.ts";
import { WakeKeeper } from "./wake-keeper.ts";

const SLOT_MS = 1_000;

function keeper() {
  const clock = createVirtualClock();
  const rows = new Map<string, WakeRow>();
  const key = (shard: number, { epoch, slot, actor }: WakeRow) => `${shard}/${epoch}/${slot}/${actor}`;
  const list: WakeList = {
    async register({ shard, epoch }, slot, actor) {
      rows.set(key(shard, { epoch, slot, actor }), { epoch, slot, actor });
    },
    list: async () => [...rows.values()],
    async remove(shard, gone) {
      for (const row of gone) rows.delete(key(shard, row));
    },
  };
  return { clock, rows, keeper: new WakeKeeper(list, clock, SLOT_MS, silentLogger) };
}

/** As far as the keeper looks at it. */
const activation = (unfinished: boolean) =>
  ({ kind: { name: "Channel" }, id: "g1", tenure, phase: "active", unfinished }) as unknown as Activation & {
    phase: string;
    unfinished: boolean;
  };
const tenure = { shard: 1, epoch: 1 };

it("the row of an actor that left memory and came back within a slot stays while its second life has unfinished business", async () => {
  const { clock, rows, keeper: kept } = keeper();
  const first = activation(false);
  await kept.register(first);
  (first as { phase: string }).phase = "gone";
  const second = activation(true);
  await kept.register(second);
  expect(rows.size).toBe(1);
  await clock.advance(SLOT_MS + 1);
  kept.sweep();
  await clock.settle();
  expect(rows.size).toBe(1);
  (second as { unfinished: boolean }).unfinished = false;
  kept.sweep();
  await clock.settle();
  expect(rows.size).toBe(0);
});

it("a shard that leaves takes its rows along: those of finished actors, and what is known of all", async () => {
  const { rows, keeper: kept } = keeper();
  const other = { shard: 2, epoch: 1 };
  const finished = activation(false);
  const unfinished = Object.assign(activation(true), { id: "g2" });
  const elsewhere = Object.assign(activation(false), { tenure: other });
  for (const one of [finished, unfinished, elsewhere]) await kept.register(one);
  await kept.release(tenure);
  expect([...rows.keys()]).toEqual(["1/1/0/Channel/g2", "2/1/0/Channel/g1"]);
  expect(kept.size).toBe(1);
  kept.forget(other);
  expect(kept.size).toBe(0);
  expect(rows.size).toBe(2);
});
