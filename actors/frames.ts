// Parts of client frames that are encoded once and sent to many: the server's side of "encode once".

import { protobuf, Receipt, ServerFrame } from "../proto/index.ts";

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

/**
 * ServerFrame { receipts = 16 { receipts = 1 } }, each receipt encoded once: for every member one without the own, or
 * undefined if none is left.
 */
export function receiptFrames(receipts: readonly Receipt[]): (exceptUserId: number) => Uint8Array | undefined {
  const records = receipts.map((receipt) => ({ userId: receipt.userId, bytes: Receipt.encode(receipt).finish() }));
  return (exceptUserId) => {
    const rest = records.filter(({ userId }) => userId !== exceptUserId);
    if (rest.length === 0) return undefined;
    const writer = protobuf.Writer.create().uint32(130).fork();
    for (const { bytes } of rest) writer.uint32(10).bytes(bytes);
    return writer.ldelim().finish();
  };
}

export function typingFrame(channelId: string, userId: number, typing: boolean): Uint8Array {
  return ServerFrame.encode({ request: 0, typing: { channelId, userId, typing } }).finish();
}
