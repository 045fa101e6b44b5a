import { expect, it } from "vitest";
import { createVirtualClock, silentLogger } from "../../runtime/index.ts";
import { storageDefaults } from "../settings.ts";
import { insist } from "./insist.ts";

it("a store that is away for long is told of once a second, however many operations it fails", async () => {
  const clock = createVirtualClock();
  const counts: number[] = [];
  const log = { ...silentLogger, warn: (facts: object) => void counts.push((facts as { failed: number }).failed) };
  const insistence = { clock, settings: { ...storageDefaults, retryPauseMs: 100, retryPauseMaxMs: 100 }, log };
  let away = true;
  const attempt = async () => {
    if (away) throw new Error("away");
    return true;
  };
  const operations = Array.from({ length: 50 }, () => insist(insistence, attempt, () => true));
  await clock.advance(2_950);
  expect(counts).toHaveLength(3);
  expect(counts[1]).toBe(50 * 10);
  away = false;
  await clock.advance(100);
  expect(await Promise.all(operations)).toEqual(operations.map(() => true));
});
