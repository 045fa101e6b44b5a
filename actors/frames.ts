// Parts of client frames that are encoded once and sent to many: the server's side of "encode once".

import { protobuf, type Receipt, ServerFrame } from "../proto/index.ts";

/** Fields 3 and 4 of client.Delivery: what is alike for all recipients. `records` are Entry messages as kept. */
export function deliveryBody(channelId: string, records: readonly Uint8Array[]): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32(26).string(channelId);
  for (const record of records) writer.uint32(34).bytes(record);
  return writer.finish();
}

/** Fields 3, 5 and 6 of client.Delivery: how far the person has read. */
export function readBody(channelId: string, readId: number, readOrdinal: number): Uint8Array {
  const writer = protobuf.Writer.create();
  return writer.uint32(26).string(channelId).uint32(40).uint64(readId).uint32(48).uint64(readOrdinal).finish();
}

export function receiptFrame(receipt: Receipt): Uint8Array {
  return ServerFrame.encode({ request: 0, receipt }).finish();
}

export function typingFrame(channelId: string, userId: number, typing: boolean): Uint8Array {
  return ServerFrame.encode({ request: 0, typing: { channelId, userId, typing } }).finish();
}
