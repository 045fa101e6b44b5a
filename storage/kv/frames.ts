// One commit as bytes: a frame of the journal.
//
//   u32 length of what follows the head · u32 checksum of it · writes
//   write: u8 table + 1 · u16 length, partition · u16 length, cluster · u32 length + 1 (0: deleted), value
//   zeros up to a multiple of four bytes
//
// Little-endian. A frame that was cut off by a crash does not match its checksum, and reading ends there.

import { type Table, tables, type Write } from "./port.ts";

export type FramedWrite = Omit<Write, "keeper">;

export const HEAD_BYTES = 8;
const FIELDS_BYTES = 1 + 2 + 2 + 4;
/** A UTF-16 code unit becomes three bytes at most. */
const UTF8_BYTES_MAX = 3;

const tableNumber = new Map<Table, number>(tables.map((table, index) => [table, index + 1]));

/** Writes one frame into memory that is used again for the next. */
export class FrameWriter {
  #buffer = Buffer.alloc(1_048_576); // grows to the largest commit
  #words = wordsOf(this.#buffer);

  /** The bytes are good until the next call. */
  write(writes: readonly FramedWrite[]): Buffer {
    this.#reserve(writes);
    const buffer = this.#buffer;
    let at = HEAD_BYTES;
    for (const { table, partition, cluster, value } of writes) {
      buffer[at] = tableNumber.get(table) as number; // 1 and up: a zero is padding
      const length = buffer.write(partition, at + 3);
      at = u16(buffer, length, at + 1) + length;
      at = u16(buffer, cluster.byteLength, at);
      buffer.set(cluster, at);
      at = u32(buffer, value === undefined ? 0 : value.byteLength + 1, at + cluster.byteLength);
      if (value === undefined) continue;
      buffer.set(value, at);
      at += value.byteLength;
    }
    while (at % 4 !== 0) buffer[at++] = 0;
    u32(buffer, at - HEAD_BYTES, 0);
    u32(buffer, checksum(this.#words, HEAD_BYTES, at), 4);
    return buffer.subarray(0, at);
  }

  #reserve(writes: readonly FramedWrite[]): void {
    let bytes = HEAD_BYTES + 4;
    for (const { partition, cluster, value } of writes) {
      bytes += FIELDS_BYTES + partition.length * UTF8_BYTES_MAX + cluster.byteLength + (value?.byteLength ?? 0);
    }
    if (bytes <= this.#buffer.byteLength) return;
    this.#buffer = Buffer.alloc(Math.ceil(Math.max(bytes, this.#buffer.byteLength * 2) / 4) * 4);
    this.#words = wordsOf(this.#buffer);
  }
}

/** Gives the writes of all whole frames, and returns how many bytes they took. */
export function readFrames(file: Buffer, take: (write: FramedWrite) => void): number {
  const bytes = Buffer.alloc(Math.ceil(file.byteLength / 4) * 4); // memory of its own, so that words lie on their borders
  bytes.set(file);
  const words = wordsOf(bytes);
  let at = 0;
  while (at + HEAD_BYTES <= file.byteLength) {
    const length = bytes.readUInt32LE(at);
    const end = at + HEAD_BYTES + length;
    if (length === 0 || length % 4 !== 0 || end > file.byteLength) break;
    if (checksum(words, at + HEAD_BYTES, end) !== bytes.readInt32LE(at + 4)) break;
    readWrites(bytes, at + HEAD_BYTES, end, take);
    at = end;
  }
  return at;
}

function readWrites(bytes: Buffer, from: number, end: number, take: (write: FramedWrite) => void): void {
  let at = from;
  while (at < end) {
    const number = bytes[at] as number;
    if (number === 0) return;
    const partitionAt = at + 3;
    const clusterAt = partitionAt + bytes.readUInt16LE(at + 1) + 2;
    const valueAt = clusterAt + bytes.readUInt16LE(clusterAt - 2) + 4;
    const lengthAndOne = bytes.readUInt32LE(valueAt - 4);
    at = lengthAndOne === 0 ? valueAt : valueAt + lengthAndOne - 1;
    take({
      table: tables[number - 1] as Table,
      partition: bytes.toString("utf8", partitionAt, clusterAt - 2),
      cluster: bytes.subarray(clusterAt, valueAt - 4),
      value: lengthAndOne === 0 ? undefined : bytes.subarray(valueAt, at),
    });
  }
}

function wordsOf(bytes: Buffer): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
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

/**
 * Each word is mixed in by a multiplication and a shift, all of them invertible, so that a change of one word always
 * changes the sum: it has to notice a cut, not an attack. `from` and `end` are multiples of four. No intermediate value
 * leaves the signed 32 bits: rotations and unsigned results made the compiler give up, and cost ten times as much.
 */
function checksum(words: Int32Array, from: number, end: number): number {
  let hash = (end - from) | 0;
  for (let at = from >> 2; at < end >> 2; at++) {
    hash = Math.imul(hash ^ (words[at] as number), 0x2c1b3c6d);
    hash ^= hash >> 15;
  }
  hash = Math.imul(hash, 0x297a2d39);
  return hash ^ (hash >> 16);
}
