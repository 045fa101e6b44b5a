import { describe, expect, it } from "vitest";
import { LinksIn, LinksOut, type Numbered } from "./links.ts";

const nothing = new Uint8Array(0);
const batch = (link: number, more: Partial<Numbered> = {}): Numbered => ({
  link,
  piece: nothing,
  piecesBefore: 0,
  piecesLeft: 0,
  ...more,
});
const piece = (link: number, text: string, piecesBefore: number, piecesLeft: number) =>
  batch(link, { piece: Buffer.from(text), piecesBefore, piecesLeft });

describe("the receiver's side of a link", () => {
  it("takes what follows, and nothing twice", () => {
    const links = new LinksIn(1_000);
    expect(links.accept("a", 0, batch(1), false)).toEqual({ kind: "take", lost: false });
    expect(links.accept("a", 0, batch(2), false)).toEqual({ kind: "take", lost: false });
    expect(links.accept("a", 0, batch(2), false)).toEqual({ kind: "drop", lost: false });
    expect(links.accept("a", 0, batch(1), false)).toEqual({ kind: "drop", lost: false });
  });

  it("tells a gap once, takes what came behind it, and nothing from within it", () => {
    const links = new LinksIn(1_000);
    links.accept("a", 0, batch(1), false);
    expect(links.accept("a", 0, batch(4), false)).toEqual({ kind: "take", lost: true });
    expect(links.accept("a", 0, batch(3), false)).toEqual({ kind: "drop", lost: false });
    expect(links.accept("a", 0, batch(5), false)).toEqual({ kind: "take", lost: false });
  });

  it("learns from a beat what was lost at the end, and also that all was lost", () => {
    const links = new LinksIn(1_000);
    links.accept("a", 0, batch(1), false);
    expect(links.accept("a", 0, batch(1), true).lost).toBe(false);
    expect(links.accept("a", 0, batch(3), true).lost).toBe(true);
    expect(links.accept("a", 0, batch(3), true).lost).toBe(false);
    expect(links.accept("b", 0, batch(2), true).lost).toBe(true);
  });

  it("counts lanes and senders apart", () => {
    const links = new LinksIn(1_000);
    expect(links.accept("a", 0, batch(1), false).lost).toBe(false);
    expect(links.accept("a", 1, batch(1), false).lost).toBe(false);
    expect(links.accept("b", 0, batch(1), false).lost).toBe(false);
  });

  it("puts pieces together, and takes none of a batch that lost one", () => {
    const links = new LinksIn(1_000);
    expect(links.accept("a", 0, piece(1, "he", 0, 2), false).kind).toBe("wait");
    expect(links.accept("a", 0, piece(2, "ll", 1, 1), false).kind).toBe("wait");
    const whole = links.accept("a", 0, piece(3, "o", 2, 0), false);
    expect(whole.kind === "whole" && Buffer.from(whole.bytes).toString()).toBe("hello");
    links.accept("a", 0, piece(4, "he", 0, 2), false);
    expect(links.accept("a", 0, piece(6, "o", 2, 0), false)).toEqual({ kind: "wait", lost: true });
    expect(links.accept("a", 0, piece(7, "hi", 0, 0), false).kind).toBe("whole");
  });

  it("does not let pieces gather beyond its bound", () => {
    const links = new LinksIn(3);
    expect(links.accept("a", 0, piece(1, "he", 0, 2), false).kind).toBe("wait");
    expect(links.accept("a", 1, piece(1, "he", 0, 2), false)).toEqual({ kind: "wait", lost: true });
    links.forget("a");
    expect(links.accept("b", 1, piece(1, "he", 0, 2), false)).toEqual({ kind: "wait", lost: false });
  });
});

describe("the sender's side of a link", () => {
  it("numbers each link from 1, and beats while it is in use and some time after", () => {
    const links = new LinksOut(2);
    expect([links.next("a", 0), links.next("a", 0), links.next("a", 3), links.next("b", 0)]).toEqual([1, 2, 1, 1]);
    const beats: string[] = [];
    const say = (to: string, lane: number, last: number) => beats.push(`${to}/${lane}:${last}`);
    links.beat(say);
    expect(beats.splice(0)).toEqual(["a/0:2", "a/3:1", "b/0:1"]);
    links.forget("b");
    links.beat(say);
    expect(beats.splice(0)).toEqual(["a/0:2", "a/3:1"]);
    links.beat(say);
    expect(beats).toEqual([]);
  });

  it("goes on above what it has said when a node that was thought dead is spoken to again", () => {
    const out = new LinksOut(2);
    const there = new LinksIn(1_000);
    const say = (lane: number) => there.accept("me", lane, batch(out.next("sleeper", lane)), false);
    for (let at = 0; at < 5; at++) expect(say(0)).toEqual({ kind: "take", lost: false });
    out.forget("sleeper");
    expect(say(0).kind).toBe("take");
    expect(say(3).kind).toBe("take");
    expect(say(0)).toEqual({ kind: "take", lost: false });
  });
});
