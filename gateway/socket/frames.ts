// From the bytes of one WebSocket message to the frame that a client meant.

import { ClientFrame, protobuf } from "../../proto/index.ts";

/**
 * A field that this version does not know is kept for those who do. Each is an object of its own here, and two bytes on the
 * wire are enough for one: so a frame may have so many and no more.
 */
class FrameReader extends protobuf.Reader {
  #unknownFieldsLeft: number;

  constructor(bytes: Uint8Array, unknownFieldsMax: number) {
    super(bytes);
    this.#unknownFieldsLeft = unknownFieldsMax;
  }

  /** Called for each unknown field that is kept, and for nothing else. */
  override raw(start: number, end: number): Uint8Array {
    if (this.#unknownFieldsLeft === 0) throw new Error("too many unknown fields");
    this.#unknownFieldsLeft -= 1;
    return super.raw(start, end);
  }
}

/**
 * Throws if the bytes are no frame. They are copied first: the library writes the next message where this one stood, and
 * the bytes and unknown fields of a content are views that live until it is kept.
 */
export function readFrame(message: ArrayBuffer, unknownFieldsMax: number): ClientFrame {
  return ClientFrame.decode(new FrameReader(new Uint8Array(message).slice(), unknownFieldsMax));
}
