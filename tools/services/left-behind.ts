// Folders that belong to a process carry its pid in their names: what a killed one could not remove, the next one does.

import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A new folder `<prefix><pid>-…` in `folder`, for as long as this process lives. */
export function ownFolder(folder: string, prefix: string): Promise<string> {
  return mkdtemp(join(folder, `${prefix}${process.pid}-`));
}

/** Removes such folders of processes that are gone. */
export async function removeLeftBehind(folder: string, prefix: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number.parseInt(name.slice(prefix.length), 10);
    // Another one may be removing the same.
    if (pid > 0 && !alive(pid)) await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined);
  }
}
