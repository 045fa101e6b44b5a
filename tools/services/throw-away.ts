// Folders for data that nobody wants afterwards. The name tells whose it is: what a killed supervisor could not remove, the
// next one does.

import { rmSync } from "node:fs";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alive } from "./cache.ts";

const PREFIX = "madang-services-";

export interface ThrowAwayFolder {
  readonly path: string;
  remove(): Promise<void>;
}

export async function throwAwayFolder(): Promise<ThrowAwayFolder> {
  await sweep();
  const path = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  await chmod(path, 0o711); // PostgreSQL's own user goes through it
  // A process that ends without a good-bye is no reason to leave gigabytes behind.
  const atExit = () => rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  process.once("exit", atExit);
  return {
    path,
    async remove() {
      process.off("exit", atExit);
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const pid = Number.parseInt(name.slice(PREFIX.length), 10);
    if (pid > 0 && !alive(pid)) await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}
