import { describe, expect, it } from "vitest";
import type { Entry } from "../proto/client.ts";
import { type Announcement, Timeline } from "./timeline.ts";

const entries = (...ids: number[]): Entry[] =>
  ids.map((messageId) => ({ messageId, author: 2, producer: 0, number: 0, timeMs: 0, ordinal: 0, settled: 0 }));
const ids = (announcement: Announcement) => announcement.entries.map(({ messageId }) => messageId);
const holding = (from: number, to: number) => new Timeline({ from, to, lastId: to }, 5);

describe("a timeline", () => {
  it("starts with the first entries that come (T3)", () => {
    const timeline = new Timeline({ from: 0, to: 0, lastId: 0 }, 5);
    expect(ids(timeline.add(entries(41, 42)))).toEqual([41, 42]);
    expect(timeline.hole).toBeUndefined();
    expect([timeline.from, timeline.to]).toEqual([41, 42]);
  });

  describe("that holds nothing, and gets entries before which something may be missing (T3)", () => {
    const unsure = (...came: number[]) => {
      const timeline = new Timeline({ from: 0, to: 0, lastId: 0 }, 5);
      for (const id of came) expect(ids(timeline.add(entries(id), false))).toEqual([]);
      expect(timeline.hole).toBeUndefined();
      return timeline;
    };

    it("starts with what a sync brings", () => {
      const timeline = unsure(2, 3, 5);
      expect(ids(timeline.add(entries(1, 2, 3)))).toEqual([1, 2, 3]);
      expect(timeline.hole).toEqual({ afterId: 3 });
      expect(ids(timeline.add(entries(4)))).toEqual([4, 5]);
    });

    it("starts below that, if it has what stands directly below", () => {
      const timeline = unsure(2, 3);
      expect(ids(timeline.add(entries(4, 5)))).toEqual([2, 3, 4, 5]);
      expect(timeline.from).toBe(2);
    });

    it("leaves to history what stands further below", () => {
      const timeline = unsure(2, 9);
      expect(ids(timeline.add(entries(7, 8)))).toEqual([7, 8, 9]);
      expect(timeline.from).toBe(7);
    });

    it("starts with the lowest of them when nothing else comes", () => {
      const timeline = unsure(6, 5, 8);
      expect(ids(timeline.add([]))).toEqual([5, 6]);
      expect(timeline.hole).toEqual({ afterId: 6 });
      expect(ids(timeline.add([]))).toEqual([]);
    });
  });

  it("announces each entry once, in order, whatever the order in which they come (T1)", () => {
    const timeline = holding(1, 3);
    expect(ids(timeline.add(entries(6, 5)))).toEqual([]);
    expect(timeline.hole).toEqual({ afterId: 3 });
    expect(ids(timeline.add(entries(2, 3, 4)))).toEqual([4, 5, 6]);
    expect(ids(timeline.add(entries(4, 5, 6)))).toEqual([]);
    expect(timeline.hole).toBeUndefined();
  });

  it("a hole is filled page by page before what stands above is announced (T2)", () => {
    const timeline = holding(1, 3);
    timeline.add(entries(8));
    expect(ids(timeline.fill(3, entries(4, 5), 1))).toEqual([4, 5]);
    expect(timeline.hole).toEqual({ afterId: 5 });
    expect(ids(timeline.fill(5, entries(6, 7), 1))).toEqual([6, 7, 8]);
  });

  it("what was known of before a crash is a hole, too", () => {
    const timeline = new Timeline({ from: 1, to: 3, lastId: 5 }, 5);
    expect(timeline.hole).toEqual({ afterId: 3 });
  });

  it("more than the buffer takes comes again by the next page", () => {
    const timeline = holding(1, 1);
    timeline.add(entries(3, 4, 5, 6, 7, 8, 9, 10));
    expect(ids(timeline.fill(1, entries(2), 1))).toEqual([2, 3, 4, 5, 6, 7]);
    expect(timeline.hole).toEqual({ afterId: 7 });
    expect(ids(timeline.fill(7, entries(8, 9, 10), 1))).toEqual([8, 9, 10]);
  });

  it("entries that may not be seen are told of as a gap, once", () => {
    const timeline = holding(1, 3);
    timeline.add(entries(9));
    const filled = timeline.fill(3, entries(7, 8), 7);
    expect(filled.gap).toEqual({ fromId: 4, toId: 6 });
    expect(ids(filled)).toEqual([7, 8, 9]);
    expect(timeline.from).toBe(7);
  });

  it("a page that comes after the range has moved fills nothing twice", () => {
    const timeline = holding(1, 3);
    timeline.add(entries(6));
    timeline.add(entries(4));
    expect(ids(timeline.fill(3, entries(4, 5), 1))).toEqual([5, 6]);
  });

  it("a server with nothing above the range ends the hole", () => {
    const timeline = new Timeline({ from: 1, to: 3, lastId: 5 }, 5);
    expect(timeline.fill(3, [], 1)).toEqual({ gap: undefined, entries: [] });
    expect(timeline.hole).toBeUndefined();
  });

  it("a hole that cannot be filled is given up with a gap", () => {
    const timeline = holding(1, 3);
    timeline.add(entries(6));
    const given = timeline.giveUp();
    expect(given.gap).toEqual({ fromId: 4, toId: 5 });
    expect(ids(given)).toEqual([6]);
    expect(timeline.hole).toBeUndefined();
  });
});
