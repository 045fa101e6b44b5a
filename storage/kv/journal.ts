// The journal: what makes a commit durable by one sequential write. Segments are numbered files; a segment is deleted when
// all that it holds lies in LMDB.
//
// (J1) append() resolves after fdatasync of the bytes (on macOS the runtime makes it a flush of the drive's cache too), on
//      threads of the runtime's pool. Proved by watching system calls rather than by reading: under
//      `strace -f -e trace=pwrite64,fdatasync,write`, a program that writes a line to stdout in onSettled shows for every
//      record pwrite64 of its frame, fdatasync of the same file returning 0, and only then its line.
// (J2) After a failed append the next one writes at the same place: the outcome of the failed one stays unknown until the
//      same bytes were written over it.
// (J3) A segment that was found at the start is never written to again: a cut frame at its end stays the last one.
//
// A segment is filled with zeros before it is used: to overwrite blocks that a file has takes half the time of a commit that
// makes the file longer, and does not wait behind the file system's own journal. The next one is made while this one fills.

import { fdatasync, write } from "node:fs";
import { type FileHandle, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

/** Of the first segment: what a start can wait for. */
const FIRST_BYTES_MAX = 2_097_152;
const ZEROS = Buffer.alloc(1_048_576);

export class Journal {
  readonly #folder: string;
  readonly #segmentBytes: number;
  #segment: number;
  #file: FileHandle;
  #next: Promise<FileHandle> | undefined;
  #position = 0;

  private constructor(folder: string, segmentBytes: number, segment: number, file: FileHandle) {
    this.#folder = folder;
    this.#segmentBytes = segmentBytes;
    this.#segment = segment;
    this.#file = file;
  }

  /** Starts a new segment after those that are there, whose numbers it gives. A segment may hold more than `segmentBytes`. */
  static async open(folder: string, segmentBytes: number): Promise<{ journal: Journal; found: readonly number[] }> {
    const found = (await readdir(folder))
      .map((name) => /^journal-(\d+)$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .sort((a, b) => a - b);
    const segment = (found.at(-1) ?? 0) + 1;
    const file = await createSegment(folder, segment, Math.min(segmentBytes, FIRST_BYTES_MAX));
    return { journal: new Journal(folder, segmentBytes, segment, file), found };
  }

  read(segment: number): Promise<Buffer> {
    return readFile(segmentPath(this.#folder, segment));
  }

  append(bytes: Buffer): Promise<void> {
    const { fd } = this.#file;
    this.#prepare();
    return new Promise((resolve, reject) => {
      const synced = (error: Error | null) => {
        if (error !== null) return reject(error);
        this.#position += bytes.byteLength;
        resolve();
      };
      write(fd, bytes, 0, bytes.byteLength, this.#position, (error, written) => {
        if (error !== null) reject(error);
        else if (written < bytes.byteLength)
          reject(new Error(`only ${written} of ${bytes.byteLength} bytes were written`));
        else fdatasync(fd, synced);
      });
    });
  }

  /** Goes on in a new segment; resolves to the number of the one before. Not while an append is under way. */
  async rotate(): Promise<number> {
    const before = this.#segment;
    this.#prepare();
    const next = this.#next as Promise<FileHandle>;
    this.#next = undefined; // when it failed, another one is made the next time
    const file = await next;
    await this.#file.close();
    this.#file = file;
    this.#segment = before + 1;
    this.#position = 0;
    return before;
  }

  #prepare(): void {
    if (this.#next !== undefined) return;
    this.#next = createSegment(this.#folder, this.#segment + 1, this.#segmentBytes);
    this.#next.catch(() => undefined); // told to whoever rotates
  }

  remove(segment: number): Promise<void> {
    return rm(segmentPath(this.#folder, segment), { force: true });
  }

  async close(): Promise<void> {
    await this.#file.close();
    const next = await this.#next?.catch(() => undefined);
    await next?.close();
    if (next !== undefined) await this.remove(this.#segment + 1); // nothing is in it
  }
}

function segmentPath(folder: string, segment: number): string {
  return join(folder, `journal-${segment}`);
}

async function createSegment(folder: string, segment: number, bytes: number): Promise<FileHandle> {
  const file = await open(segmentPath(folder, segment), "w");
  try {
    await fill(file, bytes);
    // A file is there after a loss of power only when its folder was synced too.
    const parent = await open(folder, "r");
    await parent.sync().finally(() => parent.close());
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A disk that has no room for zeros may still have some for a commit. */
async function fill(file: FileHandle, bytes: number): Promise<void> {
  try {
    for (let at = 0; at < bytes; at += ZEROS.byteLength)
      await file.write(ZEROS, 0, Math.min(ZEROS.byteLength, bytes - at), at);
  } catch {
    await file.truncate(0);
  }
  await file.sync();
}
