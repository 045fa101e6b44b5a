import { describe, expect, it } from "vitest";
import { createVirtualClock } from "../../runtime/index.ts";
import { BoundedSpeculation } from "./speculation.ts";

const AFTER_MS = 250;
const WITHIN_MS = 5_000;
const NEVER = -1;

function policyOf(speculationsMax: number) {
  const asked = { speculations: 0 };
  const clock = createVirtualClock();
  const limits = { speculateAfterMs: AFTER_MS, speculationsMax, speculationsWithinMs: WITHIN_MS };
  return { asked, clock, policy: new BoundedSpeculation(limits, clock, asked) };
}

describe("a slow request", () => {
  it("is asked of a second member, and of no third", () => {
    const { nextExecution } = policyOf(2).policy.newPlan();
    expect([nextExecution(), nextExecution()]).toEqual([AFTER_MS, NEVER]);
  });

  it("is asked once while so many were slow within some seconds, and then again as before", async () => {
    const { asked, clock, policy } = policyOf(2);
    const first = () => policy.newPlan().nextExecution();
    expect(first()).toBe(AFTER_MS);
    asked.speculations += 1;
    expect(first()).toBe(AFTER_MS);
    asked.speculations += 100; // those that were on their way
    expect(first()).toBe(NEVER);
    await clock.advance(WITHIN_MS - 1);
    expect(first()).toBe(NEVER);
    await clock.advance(1);
    expect(first()).toBe(AFTER_MS);
  });
});
