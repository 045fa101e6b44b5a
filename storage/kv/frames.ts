// One commit as bytes: a frame of the journal.
//
//   u32 length of what follows the head · u32 checksum of it · writes
//   write: u8 table · u16 length, partition · u16 length, cluster · u32 length + 1 (0: deleted), value
//
// Little-endian. A frame that was cut off by a crash does not match its checksum, and reading ends there.

import { type Table, tables, type Write } from "./port.ts";

export type FramedWrite = Omit<Write, "keeper">;

export const HEAD_BYTES = 8;
const FIELDS_BYTES = 1 + 2 + 2 + 4;
/** A UTF-16 code unit becomes three bytes at most. */
const UTF8_BYTES_MAX = 3;

const tableNumber = new Map<Table, number>(tables.map((table, number) => [table, number]));

/** Writes one frame into memory that is used again for the next. */
export class FrameWriter {
  #buffer = Buffer.alloc(1_048_576);

  /** The bytes are good until the next call. */
  write(writes: readonly FramedWrite[]): Buffer {
    this.#reserve(writes);
    const buffer = this.#buffer;
    let at = HEAD_BYTES;
    for (const { table, partition, cluster, value } of writes) {
      buffer[at] = tableNumber.get(table) as number;
      const length = buffer.write(partition, at + 3);
      at = u16(buffer, length, at + 1) + length;
      at = u16(buffer, cluster.byteLength, at);
      buffer.set(cluster, at);
      at = u32(buffer, value === undefined ? 0 : value.byteLength + 1, at + cluster.byteLength);
      if (value === undefined) continue;
      buffer.set(value, at);
      at += value.byteLength;
    }
    u32(buffer, at - HEAD_BYTES, 0);
    u32(buffer, checksum(buffer, HEAD_BYTES, at), 4);
    return buffer.subarray(0, at);
  }

  #reserve(writes: readonly FramedWrite[]): void {
    let bytes = HEAD_BYTES;
    for (const { partition, cluster, value } of writes) {
      bytes += FIELDS_BYTES + partition.length * UTF8_BYTES_MAX + cluster.byteLength + (value?.byteLength ?? 0);
    }
    if (bytes > this.#buffer.byteLength) this.#buffer = Buffer.alloc(Math.max(bytes, this.#buffer.byteLength * 2));
  }
}

/** Gives the writes of all whole frames, and returns how many bytes they took. */
export function readFrames(bytes: Buffer, take: (write: FramedWrite) => void): number {
  let at = 0;
  while (at + HEAD_BYTES <= bytes.byteLength) {
    const length = bytes.readUInt32LE(at);
    const end = at + HEAD_BYTES + length;
    if (length === 0 || end > bytes.byteLength) break;
    if (checksum(bytes, at + HEAD_BYTES, end) !== bytes.readUInt32LE(at + 4)) break;
    readWrites(bytes, at + HEAD_BYTES, end, take);
    at = end;
  }
  return at;
}

function readWrites(bytes: Buffer, from: number, end: number, take: (write: FramedWrite) => void): void {
  let at = from;
  const piece = (length: number) => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < end) {
    const table = tables[piece(1)[0] as number] as Table;
    const partition = piece(piece(2).readUInt16LE()).toString();
    const cluster = piece(piece(2).readUInt16LE());
    const lengthAndOne = piece(4).readUInt32LE();
    take({ table, partition, cluster, value: lengthAndOne === 0 ? undefined : piece(lengthAndOne - 1) });
  }
}

function u16(buffer: Buffer, value: number, at: number): number {
  buffer[at] = value & 0xff;
  buffer[at + 1] = value >>> 8;
  return at + 2;
}

function u32(buffer: Buffer, value: number, at: number): number {
  buffer[at] = value & 0xff;
  buffer[at + 1] = (value >>> 8) & 0xff;
  buffer[at + 2] = (value >>> 16) & 0xff;
  buffer[at + 3] = value >>> 24;
  return at + 4;
}

/** MurmurHash3 (32 bit), by Austin Appleby: it has to notice a cut, not an attack. */
function checksum(bytes: Uint8Array, from: number, end: number): number {
  let hash = 0x9747b28c;
  let at = from;
  for (; at + 4 <= end; at += 4) {
    const word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    hash = stir(hash, word);
  }
  let rest = 0;
  for (let shift = 0; at < end; at++, shift += 8) rest |= (bytes[at] as number) << shift;
  hash = stir(hash, rest) ^ (end - from);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function stir(hash: number, word: number): number {
  const mixed = Math.imul(word, 0xcc9e2d51);
  const turned = hash ^ Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0xe6546b64) | 0;
}
