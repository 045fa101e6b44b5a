// One process a data folder. The lock is a file lock of the operating system, taken through the embedded SQL engine,
// which knows how on every system: it ends with the process, however that ends, so that nothing stale is left to judge.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import { storageErrors } from "../errors.ts";

export interface FolderLock {
  release(): void;
}

/** Throws DATA_FOLDER_IN_USE, with folder and pid. */
export function lockFolder(folder: string): FolderLock {
  const database = new Database(join(folder, "lock.db"));
  const holderFile = join(folder, "lock.pid");
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    if (!isBusy(cause)) throw cause;
    const pid = holder(holderFile);
    throw storageErrors.DATA_FOLDER_IN_USE({
      message: `The data folder ${folder} is in use by process ${pid}; stop it, or choose another folder.`,
      detail: { folder, pid },
      cause,
    });
  }
  writeFileSync(holderFile, String(process.pid));
  return {
    release() {
      database.exec("ROLLBACK");
      database.close();
    },
  };
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && /locked|busy/i.test(error.message);
}

/** The file names the last one that got the lock; between its getting it and its writing it down, the one before. */
function holder(file: string): number | string {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return "unknown"; // the lock was taken this very moment: the message is poorer, the refusal is the same
  }
}
