// A store in one file of Node: a journal of batches, written anew when it has grown far beyond what it holds.
//
//   batch = length (4 bytes, big endian) · checksum (4 bytes) · JSON of [[key, base64 or null], …]
//
// (F1) A batch that was cut off by a crash or by a full disk is not there: reading ends before it, and the next write
//      stands in its place.
// (F2) Each write is flushed to the disk before it resolves.

import { type FileHandle, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { clientError } from "../errors.ts";
import type { ClientStore, StoreChange } from "./port.ts";

const HEADER_BYTES = 8;
/** A journal below this size is never written anew. */
const COMPACT_BYTES_MIN = 1_048_576;
/** The journal may be so many times larger than what it holds. */
const COMPACT_FACTOR = 4;

type Row = readonly [key: string, value: string | null];

/** Makes the folder and the file if they are missing. A file that a living process uses is refused with STORE_IN_USE. */
export async function createFileStore(path: string): Promise<ClientStore> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const lock = await takeLock(`${path}.lock`);
  try {
    const store = new FileStore(path, lock);
    await store.open();
    return store;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

class FileStore implements ClientStore {
  readonly #path: string;
  readonly #lock: Lock;
  readonly #records = new Map<string, string>();
  #file: FileHandle | undefined;
  /** Where the next batch begins: everything before it is whole. */
  #end = 0;
  #heldBytes = 0;
  /** Writes one after another (D1). */
  #last: Promise<void> = Promise.resolve();

  constructor(path: string, lock: Lock) {
    this.#path = path;
    this.#lock = lock;
  }

  async open(): Promise<void> {
    const bytes = await readFile(this.#path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return Buffer.alloc(0);
      throw error;
    });
    for (let batch = readBatch(bytes, 0); batch !== undefined; batch = readBatch(bytes, this.#end)) {
      for (const [key, value] of batch.rows) this.#apply(key, value);
      this.#end = batch.end;
    }
    this.#file = await open(this.#path, this.#end === 0 ? "w+" : "r+", 0o600);
  }

  async load(): Promise<Map<string, Uint8Array>> {
    return new Map([...this.#records].map(([key, value]) => [key, new Uint8Array(Buffer.from(value, "base64"))]));
  }

  write(changes: readonly StoreChange[]): Promise<void> {
    const rows = changes.map(
      ({ key, value }): Row => [key, value === undefined ? null : Buffer.from(value).toString("base64")],
    );
    const written = this.#last.then(() => this.#append(rows));
    this.#last = written.catch(() => undefined); // told to whoever asked for it; the next write goes on (D3)
    return written;
  }

  async #append(rows: readonly Row[]): Promise<void> {
    const file = this.#file;
    if (file === undefined) throw clientError("CLOSED");
    const batch = encodeBatch(rows);
    try {
      await file.write(batch, 0, batch.length, this.#end);
      await file.datasync();
    } catch (cause) {
      // Best effort: a torn batch is not read anyway (F1).
      await file.truncate(this.#end).catch(() => undefined);
      throw clientError("STORE_FAILED", { cause });
    }
    this.#end += batch.length;
    for (const [key, value] of rows) this.#apply(key, value);
    if (this.#end > COMPACT_BYTES_MIN && this.#end > this.#heldBytes * COMPACT_FACTOR) await this.#compact();
  }

  #apply(key: string, value: string | null): void {
    const before = this.#records.get(key);
    if (before !== undefined) this.#heldBytes -= key.length + before.length;
    if (value === null) this.#records.delete(key);
    else {
      this.#records.set(key, value);
      this.#heldBytes += key.length + value.length;
    }
  }

  /** The new file takes the old one's name when it is whole on the disk. If that fails, the old one goes on to serve. */
  async #compact(): Promise<void> {
    const next = `${this.#path}.next`;
    try {
      const file = await open(next, "w+", 0o600);
      const batch = encodeBatch([...this.#records]);
      await file.write(batch, 0, batch.length, 0);
      await file.sync();
      await rename(next, this.#path);
      await this.#file?.close();
      this.#file = file;
      this.#end = batch.length;
      await syncFolder(dirname(this.#path));
    } catch {
      await rm(next, { force: true });
    }
  }

  async close(): Promise<void> {
    await this.#last;
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
    await this.#lock.release();
  }
}

function encodeBatch(rows: readonly Row[]): Buffer {
  const body = Buffer.from(JSON.stringify(rows));
  const batch = Buffer.alloc(HEADER_BYTES + body.length);
  batch.writeUInt32BE(body.length, 0);
  batch.writeUInt32BE(checksum(body), 4);
  body.copy(batch, HEADER_BYTES);
  return batch;
}

function readBatch(bytes: Buffer, from: number): { readonly rows: readonly Row[]; readonly end: number } | undefined {
  if (from + HEADER_BYTES > bytes.length) return undefined;
  const end = from + HEADER_BYTES + bytes.readUInt32BE(from);
  if (end > bytes.length) return undefined;
  const body = bytes.subarray(from + HEADER_BYTES, end);
  if (checksum(body) !== bytes.readUInt32BE(from + 4)) return undefined;
  return { rows: JSON.parse(body.toString()) as Row[], end };
}

/** FNV-1a, 32 bits: tells a torn batch from a whole one. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

interface Lock {
  release(): Promise<void>;
}

/** Paths that this process holds: its own number in the lock file says nothing about them. */
const held = new Set<string>();

async function takeLock(path: string): Promise<Lock> {
  for (let tries = 0; tries < 2; tries++) {
    try {
      const file = await open(path, "wx", 0o600);
      await file.writeFile(String(process.pid));
      await file.close();
      held.add(path);
      return {
        async release() {
          held.delete(path);
          await rm(path, { force: true });
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const pid = Number(await readFile(path, "utf8"));
      if (held.has(path) || (pid !== process.pid && isAlive(pid))) {
        throw clientError("STORE_IN_USE", { message: `Process ${pid} uses the store ${path}.` });
      }
      await rm(path, { force: true }); // left by a process that was killed
    }
  }
  throw clientError("STORE_IN_USE");
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
