import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cached, cacheFolder, entryName } from "./cache.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "madang-cache-test-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const fill = (text: string) => (growing: string) => writeFile(join(growing, "program"), text);

describe("the cache of laid-down engines", () => {
  test("an entry is built once", async () => {
    expect((await cached(folder, "nats-1", fill("first"))).built).toBe(true);
    const again = await cached(folder, "nats-1", fill("second"));
    expect(again.built).toBe(false);
    expect(await readFile(join(again.folder, "program"), "utf8")).toBe("first");
  });

  test("of two that want the same at once, one builds and both find it", async () => {
    let builds = 0;
    const build = async (growing: string) => {
      builds += 1;
      await fill("whole")(growing);
    };
    const both = await Promise.all([cached(folder, "nats-1", build), cached(folder, "nats-1", build)]);
    expect(builds).toBe(1);
    expect(both.map(({ built }) => built).sort()).toEqual([false, true]);
    expect(await readdir(folder)).toEqual(["nats-1"]);
  });

  test("a build that fails leaves nothing behind, and is tried again", async () => {
    const fails = async (growing: string) => {
      await fill("half")(growing);
      throw new Error("the disk is full");
    };
    await expect(cached(folder, "nats-1", fails)).rejects.toThrow("the disk is full");
    expect(await readdir(folder)).toEqual([]);
    expect((await cached(folder, "nats-1", fill("whole"))).built).toBe(true);
  });

  test("the lock of a process that is gone holds nobody up", async () => {
    await mkdir(join(folder, "nats-1.lock"));
    await writeFile(join(folder, "nats-1.lock", "pid"), "4194305"); // above what the kernel gives out
    expect((await cached(folder, "nats-1", fill("whole"))).built).toBe(true);
    expect(existsSync(join(folder, "nats-1.lock"))).toBe(false);
  });

  test("a changed pin or recipe is another entry", async () => {
    const pin = join(folder, "go.mod");
    await writeFile(pin, "v1");
    const first = await entryName("nats", [pin], "go build");
    expect(await entryName("nats", [pin], "go build")).toBe(first);
    expect(await entryName("nats", [pin], "go build -race")).not.toBe(first);
    await writeFile(pin, "v2");
    expect(await entryName("nats", [pin], "go build")).not.toBe(first);
  });

  test("lies where it is told to, or where caches of the user lie", () => {
    expect(cacheFolder({ MADANG_CACHE: "/a", XDG_CACHE_HOME: "/b" })).toBe("/a");
    expect(cacheFolder({ XDG_CACHE_HOME: "/b" })).toBe("/b/madang");
  });
});
