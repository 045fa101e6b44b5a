import { describe, expect, it } from "vitest";
import { Detector, predecessors, successors } from "./detector.ts";

describe("silence", () => {
  it("is counted from the last word, or from when somebody began to listen", () => {
    const detector = new Detector(0);
    detector.observe(new Set(["a", "b"]), 1_000);
    detector.heard("a", 4_000);
    expect(detector.silent(6_000, 5_000)).toEqual(["b"]);
    expect(detector.silent(9_000, 5_000)).toEqual(["a", "b"]);
    expect(detector.silenceMs("stranger", 9_000)).toBe(Number.POSITIVE_INFINITY);
  });

  it("(D1) starts anew when the way was lost", () => {
    const detector = new Detector(0);
    detector.observe(new Set(["a"]), 0);
    detector.vote("b", "a", 4_000);
    detector.restart(4_900);
    expect(detector.silent(9_000, 5_000)).toEqual([]);
    expect(detector.silent(9_900, 5_000)).toEqual(["a"]);
    expect(detector.votes("a", 5_000, 2_500)).toBe(0);
  });

  it("of a node that is no longer observed says nothing", () => {
    const detector = new Detector(0);
    detector.observe(new Set(["a"]), 0);
    detector.observe(new Set(["b"]), 100);
    expect(detector.silent(50_000, 5_000)).toEqual(["b"]);
  });
});

describe("votes", () => {
  it("(D2) are of different nodes, and count while they are repeated", () => {
    const detector = new Detector(0);
    detector.vote("b", "a", 1_000);
    detector.vote("b", "a", 1_500);
    expect(detector.votes("a", 2_000, 2_500)).toBe(1);
    detector.vote("c", "a", 2_000);
    expect(detector.votes("a", 2_000, 2_500)).toBe(2);
    expect(detector.votes("a", 4_200, 2_500)).toBe(1);
    expect(detector.votes("a", 9_000, 2_500)).toBe(0);
  });
});

describe("the ring", () => {
  it("makes whoever beats to a node one that the node observes", () => {
    for (let size = 1; size <= 7; size++) {
      const ring = Array.from({ length: size }, (_, at) => `n${(at * 5) % 7}`);
      for (const one of ring) {
        const hearers = successors(ring, one, 3);
        expect(hearers).toHaveLength(Math.min(3, size - 1));
        for (const hearer of hearers) expect(predecessors(ring, hearer, 3)).toContain(one);
      }
    }
  });
});
