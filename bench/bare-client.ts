// How to talk to the bare program (bare.ts).

import { ServerFrame } from "../proto/index.ts";

/** First byte of a message to it. */
export const Bare = { HERE: 0, DIRECT: 1, GROUP: 2 } as const;

export function bareMessage(kind: number, target: number, bytes: Uint8Array): Uint8Array {
  const message = Buffer.allocUnsafe(5 + bytes.length);
  message[0] = kind;
  message.writeUInt32LE(target, 1);
  message.set(bytes, 5);
  return message;
}

/** A delivery as Madang's: the same bytes but for the numbers in it. */
export function deliveryOf(channelId: string, author: number, text: string): Uint8Array {
  const numbers = { messageId: 12_345, producer: 1_000, number: 12_345, ordinal: 12_345, settled: 12_344 };
  const entry = { ...numbers, author, timeMs: 1.7e12, content: { text: { text, replyTo: 0 } } };
  return ServerFrame.encode({
    request: 0,
    delivery: { prev: 1.7e8, version: 1.7e8, channelId, entries: [entry], readId: 0, readOrdinal: 0 },
  }).finish();
}
