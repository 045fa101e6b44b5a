import { describe, expect, it } from "vitest";
import { InFlight } from "./in-flight.ts";

class Entry {
  next: Entry | undefined;
  readonly callId: number;
  readonly from: string;
  constructor(callId: number, from = "") {
    this.callId = callId;
    this.from = from;
  }
}

/** Numbers that share a bucket, among others. */
const callIds = [1, 2, 4_097, 8_193, 2 ** 40 + 1];

describe("what is in flight", () => {
  it("is found by its number, and gone once it is removed, in whatever order", () => {
    for (const first of callIds) {
      const inFlight = new InFlight<Entry>();
      const entries = callIds.map((callId) => new Entry(callId));
      for (const entry of entries) inFlight.add(entry);
      const removed = inFlight.find(first) as Entry;
      expect(removed.callId).toBe(first);
      expect(inFlight.remove(removed)).toBe(true);
      expect(inFlight.remove(removed)).toBe(false);
      expect(inFlight.find(first)).toBeUndefined();
      const left = callIds.filter((callId) => callId !== first);
      expect(left.map((callId) => inFlight.find(callId)?.callId)).toEqual(left);
      expect(inFlight.all().map(({ callId }) => callId)).toHaveLength(left.length);
      expect(inFlight.size).toBe(left.length);
    }
  });

  it("may share a number, when somebody can tell which is meant", () => {
    const inFlight = new InFlight<Entry>();
    const [a, b] = [new Entry(7, "a"), new Entry(7, "b")];
    inFlight.add(a);
    inFlight.add(b);
    expect(inFlight.find(7, ({ from }) => from === "a")).toBe(a);
    expect(inFlight.find(7, ({ from }) => from === "b")).toBe(b);
    expect(inFlight.find(7, ({ from }) => from === "c")).toBeUndefined();
  });

  it("keeps no link to what has ended", () => {
    const inFlight = new InFlight<Entry>();
    const [a, b] = [new Entry(1), new Entry(4_097)];
    inFlight.add(a);
    inFlight.add(b);
    inFlight.remove(b);
    expect(b.next).toBeUndefined();
  });
});
