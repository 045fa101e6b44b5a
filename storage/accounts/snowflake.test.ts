import { expect, it } from "vitest";
import { createVirtualClock } from "../../runtime/index.ts";
import { createSnowflakes, type TickStore } from "./snowflake.ts";

const START_MS = Date.UTC(2026, 0, 1);
const IDS_A_TICK = 65_536; // 10 bits of worker, 6 of sequence

function memoryTicks(kept = 0): TickStore & { readonly kept: () => number } {
  return { kept: () => kept, lastTick: async () => kept, reserve: async (tick) => void (kept = tick) };
}

it("many ids asked for within one tick differ, and those beyond a tick's share wait for the clock", async () => {
  const clock = createVirtualClock(START_MS + 1_600);
  const ids = await createSnowflakes(clock, 3, memoryTicks());
  const minting = Promise.all(Array.from({ length: 200 }, () => ids.next()));
  await clock.advance(1_000);
  const minted = await minting;
  expect(new Set(minted).size).toBe(200);
  expect(minted[0]).toBe(100 * IDS_A_TICK + 3 * 64);
  expect(minted).toEqual(minted.toSorted((a, b) => a - b));
});

it("the tick of an id was kept before the id was told", async () => {
  const clock = createVirtualClock(START_MS + 1_600);
  const ticks = memoryTicks();
  const ids = await createSnowflakes(clock, 0, ticks);
  for (let at = 0; at < 50; at++) {
    clock.stepWall(5_000);
    expect(Math.floor((await ids.next()) / IDS_A_TICK)).toBeLessThanOrEqual(ticks.kept());
  }
});

it("a restart with the clock set back mints above everything that was minted", async () => {
  const clock = createVirtualClock(START_MS + 1_000_000);
  const ticks = memoryTicks();
  const before = await (await createSnowflakes(clock, 0, ticks)).next();
  clock.stepWall(-900_000);
  expect(await (await createSnowflakes(clock, 0, ticks)).next()).toBeGreaterThan(before);
});

it("no id is told while the store cannot keep its tick, and minting goes on when it can", async () => {
  const clock = createVirtualClock(START_MS + 1_600);
  let broken = true;
  const ticks = memoryTicks();
  const reserve = (tick: number) => (broken ? Promise.reject(new Error("disk full")) : ticks.reserve(tick));
  const ids = await createSnowflakes(clock, 0, { lastTick: ticks.lastTick, reserve });
  await expect(ids.next()).rejects.toThrow("disk full");
  broken = false;
  expect(Number.isSafeInteger(await ids.next())).toBe(true);
});

it("the last tick gives safe integers, and the one after it gives none", async () => {
  const clock = createVirtualClock(START_MS + (2 ** 37 - 1) * 16);
  const ids = await createSnowflakes(clock, 1_023, memoryTicks());
  expect(Number.isSafeInteger(await ids.next())).toBe(true);
  clock.stepWall(16);
  await expect(ids.next()).rejects.toThrow("wall clock");
});

it("refuses a worker number that has no room", async () => {
  await expect(createSnowflakes(createVirtualClock(), 1_024, memoryTicks())).rejects.toThrow(RangeError);
});
