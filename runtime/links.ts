// Links: what one node incarnation sends another in one lane, numbered, so that the receiver knows when something was lost
// on the way. The network itself tells nobody.
//
// (L1) Numbers of a link rise by one, and never go back while both incarnations live: a node that was thought dead may only have
//      slept, and takes nothing of a number that it has seen. A beat repeats the last one while the link is in use and for some time after.
// (L2) A batch is taken at most once, and never after a later one.
// (L3) A batch that came in pieces is whole or is not taken at all.
// (L4) Whatever was not taken is told as lost, at the latest with the first beat that gets through.

import { LANES } from "./shard.ts";

/** Nodes spoken to or heard at once: far above any cluster, and a bound for what strangers can make a node remember. */
const NODES_MAX = 10_000;

function forgetOldest(
  links: { readonly size: number; keys(): Iterator<string> },
  forget: (nodeId: string) => void,
): void {
  const oldest = links.size >= NODES_MAX ? links.keys().next().value : undefined;
  if (oldest !== undefined) forget(oldest);
}

/** The sender's side: the number that each link has reached. */
export class LinksOut {
  /** By receiver and lane. */
  readonly #links = new Map<string, LinkOut[]>();
  readonly #beatsAfterUse: number;
  /** Above every number of a link that was forgotten. */
  #base = 0;

  constructor(beatsAfterUse: number) {
    this.#beatsAfterUse = beatsAfterUse;
  }

  next(to: string, lane: number): number {
    let lanes = this.#links.get(to);
    if (lanes === undefined) {
      forgetOldest(this.#links, (nodeId) => this.forget(nodeId));
      lanes = Array.from({ length: LANES }, () => ({ last: this.#base, beatsLeft: 0 }));
      this.#links.set(to, lanes);
    }
    const link = lanes[lane] as LinkOut;
    link.last += 1;
    link.beatsLeft = this.#beatsAfterUse;
    return link.last;
  }

  /** Calls `say` for each link that is to beat now. */
  beat(say: (to: string, lane: number, last: number) => void): void {
    for (const [to, lanes] of this.#links) {
      for (let lane = 0; lane < LANES; lane++) {
        const link = lanes[lane] as LinkOut;
        if (link.beatsLeft === 0) continue;
        link.beatsLeft -= 1;
        say(to, lane, link.last);
      }
    }
  }

  /** Something was sent to it, since it was last forgotten. */
  has(nodeId: string): boolean {
    return this.#links.has(nodeId);
  }

  /** Whoever is met for the first time after that is told of a loss that was none, once; it does no harm. */
  forget(nodeId: string): void {
    for (const { last } of this.#links.get(nodeId) ?? []) this.#base = Math.max(this.#base, last);
    this.#links.delete(nodeId);
  }
}

interface LinkOut {
  last: number;
  beatsLeft: number;
}

interface LinkIn {
  last: number;
  pieces: Uint8Array[];
  pieceBytes: number;
}

/** What came: the fields of a Batch that concern its link. */
export interface Numbered {
  readonly link: number;
  readonly piece: Uint8Array;
  readonly piecesBefore: number;
  readonly piecesLeft: number;
}

/**
 * take: read its envelopes. whole: all pieces are there, `bytes` is the batch. wait: nothing yet. drop: it came before.
 * `lost` says that something before it will never come.
 */
export type Verdict =
  | { readonly kind: "take" | "wait" | "drop"; readonly lost: boolean }
  | { readonly kind: "whole"; readonly lost: boolean; readonly bytes: Uint8Array };

/** The receiver's side. */
export class LinksIn {
  readonly #links = new Map<string, LinkIn[]>();
  readonly #pieceBytesMax: number;
  /** Of batches that are not whole yet, of all links. */
  #pieceBytes = 0;

  constructor(pieceBytesMax: number) {
    this.#pieceBytesMax = pieceBytesMax;
  }

  accept(from: string, lane: number, batch: Numbered, isBeat: boolean): Verdict {
    const link = this.#link(from, lane);
    if (isBeat) {
      const lost = batch.link > link.last;
      if (lost) this.#jump(link, batch.link);
      return { kind: "drop", lost };
    }
    if (batch.link <= link.last) return { kind: "drop", lost: false }; // (L2)
    const lost = batch.link > link.last + 1;
    if (lost) this.#jump(link, batch.link);
    link.last = batch.link;
    if (batch.piece.byteLength === 0) return { kind: "take", lost };
    return this.#collect(link, batch, lost);
  }

  /** (L3) */
  #collect(link: LinkIn, { piece, piecesBefore, piecesLeft }: Numbered, lost: boolean): Verdict {
    if (piecesBefore !== link.pieces.length || this.#pieceBytes + piece.byteLength > this.#pieceBytesMax) {
      this.#dropPieces(link);
      return { kind: "wait", lost: true };
    }
    link.pieces.push(piece);
    link.pieceBytes += piece.byteLength;
    this.#pieceBytes += piece.byteLength;
    if (piecesLeft > 0) return { kind: "wait", lost };
    const bytes = Buffer.concat(link.pieces);
    this.#dropPieces(link);
    return { kind: "whole", lost, bytes };
  }

  #link(from: string, lane: number): LinkIn {
    let lanes = this.#links.get(from);
    if (lanes === undefined) {
      forgetOldest(this.#links, (nodeId) => this.forget(nodeId));
      lanes = Array.from({ length: LANES }, () => ({ last: 0, pieces: [], pieceBytes: 0 }));
      this.#links.set(from, lanes);
    }
    return lanes[lane] as LinkIn;
  }

  #jump(link: LinkIn, to: number): void {
    link.last = to;
    this.#dropPieces(link);
  }

  #dropPieces(link: LinkIn): void {
    this.#pieceBytes -= link.pieceBytes;
    link.pieces = [];
    link.pieceBytes = 0;
  }

  forget(nodeId: string): void {
    for (const link of this.#links.get(nodeId) ?? []) this.#dropPieces(link);
    this.#links.delete(nodeId);
  }
}
