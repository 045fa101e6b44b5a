// Batches that were too large for one message of the network and came in pieces. What one node sends in one lane comes in
// order; services hold no numbered links, so a piece that does not continue what was there ends it, and a reply that is never
// whole is one that never came.

import type { Batch } from "../../proto/index.ts";

interface Growing {
  readonly pieces: Uint8Array[];
  readonly count: number;
  bytes: number;
}

const nothing = new Uint8Array(0);

export class Pieces {
  readonly #growing = new Map<string, Growing>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The encoded batch when its last piece has come; empty until then. `way` names node and lane. */
  add(
    way: string,
    { piece, piecesBefore, piecesLeft }: Pick<Batch, "piece" | "piecesBefore" | "piecesLeft">,
  ): Uint8Array {
    const count = piecesBefore + 1 + piecesLeft;
    if (piecesBefore === 0) {
      this.#drop(way);
      this.#growing.set(way, { pieces: [], count, bytes: 0 });
    }
    const growing = this.#growing.get(way);
    if (growing === undefined) return nothing;
    const continues = growing.pieces.length === piecesBefore && growing.count === count;
    if (!continues || this.#bytes + piece.byteLength > this.#bytesMax) {
      this.#drop(way);
      return nothing;
    }
    growing.pieces.push(piece);
    growing.bytes += piece.byteLength;
    this.#bytes += piece.byteLength;
    if (piecesLeft > 0) return nothing;
    this.#drop(way);
    return Buffer.concat(growing.pieces);
  }

  /** The connection broke: what is missing will not come. */
  clear(): void {
    this.#growing.clear();
    this.#bytes = 0;
  }

  #drop(way: string): void {
    this.#bytes -= this.#growing.get(way)?.bytes ?? 0;
    this.#growing.delete(way);
  }
}
