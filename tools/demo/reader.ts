// Reads every message that a stopped node has kept, from the files in its folder. It shares no code with server or SDK: the
// forms of journal, database and entries are written down here once more, so that an error in theirs is not repeated.
//
//   madang.mdb   LMDB; database "log": key = channel id, a zero byte, message id in 8 bytes (big-endian); value = entry
//   journal-<n>  what was kept after, or before it moved into LMDB. Frames, little-endian:
//                u32 length of the body · u32 checksum of the body · body, a multiple of four bytes
//                body: u8 table (1: log; 0: padding to the end) · u16 length, channel id · u16 length, message id ·
//                u32 length + 1 (0: deleted), entry
//   entry        protobuf: 1 message id, 2 author, 3 producer, 4 number, 8 content { 1 text { 1 text } }

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { open } from "lmdb";

export interface KeptEntry {
  readonly messageId: number;
  readonly author: number;
  readonly producer: number;
  readonly number: number;
  /** Undefined when it is something else than a text. */
  readonly text: string | undefined;
}

export interface KeptLog {
  /** By message id, as the key says it. */
  readonly entries: ReadonlyMap<number, KeptEntry>;
  /** Ids of which two different records were found. */
  readonly torn: readonly number[];
}

export interface Reading {
  readonly logs: ReadonlyMap<string, KeptLog>;
  readonly rowsInDatabase: number;
  readonly rowsInJournal: number;
}

export interface Row {
  readonly channelId: string;
  readonly messageId: number;
  readonly value: Uint8Array;
}

export async function readKept(folder: string): Promise<Reading> {
  const database = await readDatabase(join(folder, "madang.mdb"));
  const journal = readJournal(folder);
  return {
    logs: logsOf([...database, ...journal]),
    rowsInDatabase: database.length,
    rowsInJournal: journal.length,
  };
}

export function logsOf(rows: Iterable<Row>): ReadonlyMap<string, KeptLog> {
  const logs = new Map<string, { entries: Map<number, KeptEntry>; records: Map<number, Uint8Array>; torn: number[] }>();
  for (const { channelId, messageId, value } of rows) {
    let log = logs.get(channelId);
    if (log === undefined) {
      log = { entries: new Map(), records: new Map(), torn: [] };
      logs.set(channelId, log);
    }
    const other = log.records.get(messageId);
    if (other !== undefined && Buffer.compare(other, value) !== 0) log.torn.push(messageId);
    log.records.set(messageId, value);
    log.entries.set(messageId, decodeEntry(value));
  }
  return logs;
}

async function readDatabase(path: string): Promise<Row[]> {
  const root = open({ path, readOnly: true, maxDbs: 16 });
  const log = root.openDB<Buffer, Buffer>("log", { keyEncoding: "binary", encoding: "binary" });
  const rows: Row[] = [];
  for (const { key, value } of log.getRange({})) {
    const end = key.length - 9; // a zero byte and the id
    if (key[end] !== 0) throw new Error(`a key of the log has no zero byte before its id: ${key.toString("hex")}`);
    const channelId = key.subarray(0, end).toString();
    rows.push({ channelId, messageId: Number(key.readBigUInt64BE(end + 1)), value: new Uint8Array(value) });
  }
  await root.close();
  return rows;
}

const LOG_TABLE = 1;

function readJournal(folder: string): Row[] {
  const numbers = readdirSync(folder).flatMap((name) => (name.startsWith("journal-") ? [Number(name.slice(8))] : []));
  numbers.sort((a, b) => a - b);
  return numbers.flatMap((number) => readSegment(readFileSync(join(folder, `journal-${number}`))));
}

/** A frame that was cut off by the kill does not match its checksum: it was told to nobody, and reading ends. */
function readSegment(bytes: Buffer): Row[] {
  const rows: Row[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt32LE(at);
    if (end === at + 8 || end > bytes.length) break;
    const body = bytes.subarray(at + 8, end);
    if (sumOf(body) !== bytes.readUInt32LE(at + 4)) break;
    readBody(body, rows);
    at = end;
  }
  return rows;
}

function readBody(body: Buffer, rows: Row[]): void {
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const table = body[at];
    const partitionEnd = at + 3 + body.readUInt16LE(at + 1);
    const clusterEnd = partitionEnd + 2 + body.readUInt16LE(partitionEnd);
    const lengthAndOne = body.readUInt32LE(clusterEnd);
    const valueEnd = clusterEnd + 4 + Math.max(0, lengthAndOne - 1);
    if (table === LOG_TABLE && lengthAndOne > 0) {
      const channelId = body.subarray(at + 3, partitionEnd).toString();
      const messageId = Number(body.readBigUInt64BE(partitionEnd + 2));
      rows.push({ channelId, messageId, value: new Uint8Array(body.subarray(clusterEnd + 4, valueEnd)) });
    }
    at = valueEnd;
  }
}

/** Word by word: xor, multiply, fold; at last once more. 32 bits, starting from the length. */
function sumOf(body: Buffer): number {
  let sum = body.length | 0;
  for (let at = 0; at < body.length; at += 4) {
    sum = Math.imul(sum ^ body.readInt32LE(at), 0x2c1b3c6d);
    sum ^= sum >> 15;
  }
  sum = Math.imul(sum, 0x297a2d39);
  return (sum ^ (sum >> 16)) >>> 0;
}

type Field = number | Uint8Array;

export function decodeEntry(bytes: Uint8Array): KeptEntry {
  const fields = decodeFields(bytes);
  const number = (tag: number) => {
    const value = fields.get(tag) ?? 0;
    return typeof value === "number" ? value : Number.NaN;
  };
  return {
    messageId: number(1),
    author: number(2),
    producer: number(3),
    number: number(4),
    text: textOf(fields.get(8)),
  };
}

function textOf(content: Field | undefined): string | undefined {
  if (!(content instanceof Uint8Array)) return undefined;
  const text = decodeFields(content).get(1);
  if (!(text instanceof Uint8Array)) return undefined;
  const characters = decodeFields(text).get(1);
  return characters instanceof Uint8Array ? new TextDecoder("utf-8", { fatal: true }).decode(characters) : "";
}

/** The last value of each field: varints as numbers, and bytes. */
function decodeFields(bytes: Uint8Array): Map<number, Field> {
  const fields = new Map<number, Field>();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("an entry ends within a number");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const head = varint();
    const tag = Math.floor(head / 8);
    const wire = head % 8;
    if (wire === 0) fields.set(tag, varint());
    else if (wire === 2) {
      const length = varint();
      fields.set(tag, bytes.subarray(at, at + length));
      at += length;
    } else throw new Error(`an entry has a field of wire type ${wire}`);
  }
  return fields;
}
