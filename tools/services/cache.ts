// The folder in which laid-down engines wait for the next start. An entry is a folder named by engine and pins; it is built
// beside its place and renamed into it, so that whoever sees it sees it whole (I1), also when two build at once or one is
// killed. The lock only spares the second one the work: what it cannot guarantee, (I1) does.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { alive, ownFolder, removeLeftBehind } from "./left-behind.ts";

/** How often a waiter looks whether the other one is done: building takes minutes. */
const LOOK_AGAIN_MS = 500;
/** A lock without a readable owner is being written, or its owner was killed in between: so long it is believed. */
const LOCK_ANONYMOUS_MS = 10_000;

export function cacheFolder(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  return environment.MADANG_CACHE ?? join(environment.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "madang");
}

/** A changed pin is another name. */
export async function entryName(engine: string, pinFiles: readonly string[], recipe: string): Promise<string> {
  const hash = createHash("sha256").update(recipe);
  for (const file of pinFiles) hash.update("\0").update(await readFile(file));
  return `${engine}-${hash.digest("hex").slice(0, 12)}`;
}

/** The entry's folder; `build` fills a new one when it is not there yet. */
export async function cached(
  cache: string,
  name: string,
  build: (folder: string) => Promise<void>,
): Promise<{ readonly folder: string; readonly built: boolean }> {
  const folder = join(cache, name);
  if (existsSync(folder)) return { folder, built: false };
  await mkdir(cache, { recursive: true });
  const release = await lock(join(cache, `${name}.lock`), () => existsSync(folder));
  if (release === undefined) return { folder, built: false };
  await removeLeftBehind(cache, `${name}.growing-`);
  const growing = await ownFolder(cache, `${name}.growing-`);
  try {
    await build(growing);
    await rename(growing, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
    return { folder, built: true };
  } finally {
    await rm(growing, { recursive: true, force: true });
    await release();
  }
}

/** Resolves with the release, or with undefined as soon as nothing is left to do. */
async function lock(path: string, done: () => boolean): Promise<(() => Promise<void>) | undefined> {
  while (!done()) {
    try {
      await mkdir(path);
      await writeFile(join(path, "pid"), String(process.pid));
      return () => rm(path, { recursive: true, force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    if (await abandoned(path)) await rm(path, { recursive: true, force: true });
    else await pause(LOOK_AGAIN_MS);
  }
  return undefined;
}

async function abandoned(path: string): Promise<boolean> {
  const pid = Number(await readFile(join(path, "pid"), "utf8").catch(() => ""));
  if (pid > 0) return !alive(pid);
  const since = await stat(path).catch(() => undefined);
  return since !== undefined && Date.now() - since.mtimeMs > LOCK_ANONYMOUS_MS;
}
