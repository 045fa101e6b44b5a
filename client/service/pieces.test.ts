import { describe, expect, it } from "vitest";
import { Pieces } from "./pieces.ts";

/** Three pieces, "ab", "cd", "e". */
const piece = (at: number) => ({
  piece: Buffer.from("abcde").subarray(at * 2, at * 2 + 2),
  piecesBefore: at,
  piecesLeft: 2 - at,
});
const added = (pieces: Pieces, way: string, ...at: number[]) =>
  at.map((each) => Buffer.from(pieces.add(way, piece(each))).toString()).join("|");

describe("a batch that came in pieces", () => {
  it("is whole with its last one, and the next begins anew", () => {
    const pieces = new Pieces(100);
    expect(added(pieces, "a", 0, 1, 2, 0, 1, 2)).toBe("||abcde|||abcde");
  });

  it("grows beside those of other nodes and lanes", () => {
    const pieces = new Pieces(100);
    expect(added(pieces, "a", 0, 1) + added(pieces, "b", 0, 1, 2) + added(pieces, "a", 2)).toBe(
      "|" + "||abcde" + "abcde",
    );
  });

  it.each([
    ["its first", [1, 2]],
    ["one in the middle", [0, 2]],
    ["its last, and the first of the next", [0, 1, 1, 2]],
  ])("is nothing without %s", (_what, at) => {
    expect(added(new Pieces(100), "a", ...at).replaceAll("|", "")).toBe("");
  });

  it("is dropped when pieces take too much memory, and when the connection breaks", () => {
    const pieces = new Pieces(4);
    expect(added(pieces, "a", 0, 1, 2)).toBe("||");
    expect(added(pieces, "a", 0)).toBe("");
    pieces.clear();
    expect(added(pieces, "a", 1, 2)).toBe("|");
  });
});
