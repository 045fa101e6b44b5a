import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFileStore } from "./file.ts";

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "madang-client-"));
  path = join(folder, "state");
});
afterEach(() => rm(folder, { recursive: true }));

const bytes = (...values: number[]) => new Uint8Array(values);

async function written(...batches: [string, number][]): Promise<void> {
  const store = await createFileStore(path);
  for (const [key, value] of batches) await store.write([{ key, value: bytes(value) }]);
  await store.close();
}

async function loaded(): Promise<Map<string, Uint8Array>> {
  const store = await createFileStore(path);
  const records = await store.load();
  await store.close();
  return records;
}

describe("a file store", () => {
  it("a batch cut off at any byte is not there, all before it are, and the next write stands in its place", async () => {
    await written(["a", 1]);
    const whole = (await stat(path)).size;
    await written(["b", 2]);
    const full = await readFile(path);
    for (let end = whole; end < full.length; end++) {
      await writeFile(path, full.subarray(0, end));
      expect([...(await loaded()).keys()]).toEqual(["a"]);
    }
    await truncate(path, full.length - 1);
    await written(["c", 3]);
    expect([...(await loaded()).keys()]).toEqual(["a", "c"]);
  });

  it("a batch whose bytes were never written, only its length, is not there", async () => {
    await written(["a", 1]);
    await appendFile(path, Buffer.concat([Buffer.from([0, 0, 0, 20]), Buffer.alloc(24)]));
    expect([...(await loaded()).keys()]).toEqual(["a"]);
  });

  it("a journal that has grown far beyond what it holds is written anew", async () => {
    const store = await createFileStore(path);
    const value = new Uint8Array(200_000);
    for (let at = 0; at < 12; at++) await store.write([{ key: "same", value }]);
    await store.close();
    expect((await stat(path)).size).toBeLessThan(1_200_000);
    expect((await loaded()).get("same")?.length).toBe(200_000);
    expect(await readdir(folder)).toEqual(["state"]);
  });

  it("a second client on the same file is refused; after a killed process it is not", async () => {
    const store = await createFileStore(path);
    await expect(createFileStore(path)).rejects.toMatchObject({ code: "STORE_IN_USE" });
    await store.close();
    await writeFile(`${path}.lock`, "999999999"); // nobody's
    expect(await loaded()).toEqual(new Map());
  });

  it("nobody else may read it", async () => {
    await written(["a", 1]);
    expect((await stat(path)).mode & 0o077).toBe(0);
  });
});
