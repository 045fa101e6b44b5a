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

import { fdatasync, write } from "node:fs";
import { type FileHandle, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

export class Journal {
  readonly #folder: string;
  #segment: number;
  #file: FileHandle;
  #position = 0;

  private constructor(folder: string, segment: number, file: FileHandle) {
    this.#folder = folder;
    this.#segment = segment;
    this.#file = file;
  }

  /** Starts a new segment after those that are there, whose numbers it gives. */
  static async open(folder: string): Promise<{ journal: Journal; found: readonly number[] }> {
    const found = (await readdir(folder))
      .map((name) => /^journal-(\d+)$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .sort((a, b) => a - b);
    const segment = (found.at(-1) ?? 0) + 1;
    return { journal: new Journal(folder, segment, await createSegment(folder, segment)), found };
  }

  read(segment: number): Promise<Buffer> {
    return readFile(segmentPath(this.#folder, segment));
  }

  append(bytes: Buffer): Promise<void> {
    const { fd } = this.#file;
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
    const file = await createSegment(this.#folder, before + 1);
    await this.#file.close();
    this.#file = file;
    this.#segment = before + 1;
    this.#position = 0;
    return before;
  }

  remove(segment: number): Promise<void> {
    return rm(segmentPath(this.#folder, segment), { force: true });
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function segmentPath(folder: string, segment: number): string {
  return join(folder, `journal-${segment}`);
}

async function createSegment(folder: string, segment: number): Promise<FileHandle> {
  const file = await open(segmentPath(folder, segment), "w");
  // A file is there after a loss of power only when its folder was synced too.
  const parent = await open(folder, "r");
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
  return file;
}
