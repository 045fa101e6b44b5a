import { rmSync } from "node:fs";
import { chmod, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { ownFolder, removeLeftBehind } from "./left-behind.ts";

const PREFIX = "madang-services-";
/** An engine that is dying may write into a folder that is being removed. */
const REMOVE = { recursive: true, force: true, maxRetries: 10 } as const;

/** A folder for data that nobody wants afterwards. */
export interface ThrowAwayFolder {
  readonly path: string;
  remove(): Promise<void>;
}

export async function throwAwayFolder(): Promise<ThrowAwayFolder> {
  await removeLeftBehind(tmpdir(), PREFIX);
  const path = await ownFolder(tmpdir(), PREFIX);
  await chmod(path, 0o711); // PostgreSQL's own user goes through it
  // A process that ends without a good-bye is no reason to leave gigabytes behind.
  const atExit = () => rmSync(path, REMOVE);
  process.once("exit", atExit);
  return {
    path,
    async remove() {
      process.off("exit", atExit);
      await rm(path, REMOVE);
    },
  };
}
