// What a cell of the messages table holds: the highest id that was known to be settled when the row was sent, and the
// record. Copies keep the old bytes, and with them the old mark, which is only ever too low.

import { protobuf } from "../../proto/index.ts";
import { numberFrom, putNumber } from "../kv/numbers.ts";

const MARK_BYTES = 8;

export function cellOf(settled: number, record: Uint8Array): Uint8Array {
  const cell = Buffer.allocUnsafe(MARK_BYTES + record.byteLength);
  putNumber(cell, settled);
  cell.set(record, MARK_BYTES);
  return cell;
}

export function settledMark(cell: Uint8Array): number {
  return numberFrom(cell);
}

export function recordOf(cell: Uint8Array): Uint8Array {
  return cell.subarray(MARK_BYTES);
}

const PRODUCER_FIELD = 3;
const NUMBER_FIELD = 4;

/** Producer and number of an Entry, without decoding its content; undefined for entries that have none. */
export function identityOf(record: Uint8Array): string | undefined {
  const reader = protobuf.Reader.create(record);
  let producer = 0;
  let number = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === PRODUCER_FIELD) producer = Number(reader.uint64());
    else if (tag >>> 3 === NUMBER_FIELD) number = Number(reader.uint64());
    else reader.skipType(tag & 7);
  }
  return producer === 0 ? undefined : `${producer}/${number}`;
}
