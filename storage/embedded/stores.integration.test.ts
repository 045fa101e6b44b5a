import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createVirtualClock, pause, randomBelow, seededRandom, systemClock } from "../../runtime/index.ts";
import { readFrames } from "../kv/frames.ts";
import { everything, openLog } from "../log/contract.ts";
import { openEmbeddedStores } from "./stores.ts";

const clock = systemClock;

interface Child {
  readonly process: ChildProcess;
  /** By channel, the highest id that the child was told is settled. */
  readonly settled: Map<string, number>;
  /** Resolves when so many reports have come. */
  reports(count: number): Promise<void>;
  kill(): Promise<void>;
}

async function startChild(folder: string): Promise<Child> {
  const path = fileURLToPath(new URL("child.ts", import.meta.url));
  const child = fork(path, [folder], { execArgv: ["--import", "tsx"] });
  const settled = new Map<string, number>();
  let seen = 0;
  let wake = () => {};
  child.on("message", (message: { channelId?: string; through?: number }) => {
    if (message.channelId !== undefined) settled.set(message.channelId, message.through ?? 0);
    seen += 1;
    wake();
  });
  const reports = async (count: number) => {
    while (seen < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const kill = () =>
    new Promise<void>((resolve) => {
      child.once("close", () => resolve()); // what it had reported has been read
      child.kill("SIGKILL");
    });
  await reports(1);
  return { process: child, settled, reports, kill };
}

describe("the data folder of a node without servers", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "madang-storage-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("is refused to a second process, which learns the pid of the first; a killed one is no obstacle", async () => {
    const child = await startChild(folder);
    await expect(openEmbeddedStores({ folder, clock })).rejects.toMatchObject({
      code: "DATA_FOLDER_IN_USE",
      message: expect.stringContaining(folder),
      detail: { folder, pid: child.process.pid },
    });
    await child.kill();
    const stores = await openEmbeddedStores({ folder, clock });
    await expect(openEmbeddedStores({ folder, clock })).rejects.toMatchObject({ detail: { pid: process.pid } });
    await stores.close();
  });

  it("loses nothing that was settled when the process is killed, and has no hole", async () => {
    const random = seededRandom(7);
    for (let round = 0; round < 6; round++) {
      const child = await startChild(folder);
      await child.reports(50 + randomBelow(random, 3_000));
      await child.kill();
      const stores = await openEmbeddedStores({ folder, clock });
      for (const [channelId, through] of child.settled) {
        const rows = await stores.logs.read(channelId, { ...everything, rowsMax: 1_000_000 });
        expect(rows.length).toBeGreaterThanOrEqual(through);
        rows.forEach(({ id, record }, index) => {
          expect(id).toBe(index + 1);
          expect(Buffer.from(record).toString().startsWith(`${channelId} ${id} `)).toBe(true);
        });
      }
      expect(child.settled.size).toBeGreaterThan(0);
      await stores.close();
    }
  });

  it("is no place for half a commit: a segment that was cut off is read up to the cut", async () => {
    const first = await openEmbeddedStores({ folder, clock });
    const tenure = { shard: 1, epoch: first.bootEpoch };
    await first.fence.claim(tenure);
    const opened = await openLog(first.logs, "g1", tenure);
    opened.log.append(Buffer.from("whole"));
    await opened.settled(1);
    await first.close();
    const [segment = ""] = (await readdir(folder)).filter((name) => name.startsWith("journal-"));
    const bytes = await readFile(join(folder, segment));
    bytes.set(
      [60, 0, 0, 0, 1, 2, 3, 4, 5],
      readFrames(bytes, () => {}),
    );
    await writeFile(join(folder, segment), bytes);
    const again = await openEmbeddedStores({ folder, clock });
    expect((await again.logs.read("g1", everything)).map(({ id }) => id)).toEqual([1]);
    await again.close();
  });

  it("sinks its journal into LMDB: the segments of before are gone, the rows are not", async () => {
    const settings = { checkpointBytes: 10_000 };
    const first = await openEmbeddedStores({ folder, clock, settings });
    const tenure = { shard: 1, epoch: first.bootEpoch };
    await first.fence.claim(tenure);
    const opened = await openLog(first.logs, "g1", tenure);
    for (let i = 1; i <= 400; i++) {
      opened.log.append(Buffer.alloc(500, i));
      if (i % 10 === 0) await opened.settled(i);
    }
    await first.close();
    const again = await openEmbeddedStores({ folder, clock, settings });
    expect((await again.logs.read("g1", everything)).map(({ id }) => id)).toEqual(
      Array.from({ length: 400 }, (_, i) => i + 1),
    );
    await again.close();
    const numbers = (await readdir(folder)).filter((name) => name.startsWith("journal-"));
    expect(numbers.length).toBeLessThan(10);
  });

  it("sinks a journal that is small and old, too", async () => {
    const virtual = createVirtualClock();
    const stores = await openEmbeddedStores({ folder, clock: virtual });
    const write = stores.registers.write([
      { family: "inbox", owner: "1", name: "d1.2", timestamp: 1, value: Buffer.from("x") },
    ]);
    await virtual.advance(1);
    await write;
    expect(stores.stats().heldBytes).toBeGreaterThan(0);
    await virtual.advance(30_000);
    await expect.poll(() => stores.stats().heldBytes).toBe(0);
    expect((await stores.registers.read("inbox", "1")).map(({ name }) => name)).toEqual(["d1.2"]);
    await stores.close();
  });

  it("counts its openings, runs each migration once, and refuses a newer folder", async () => {
    const ran: string[] = [];
    const step = (name: string) => () => void ran.push(name);
    const open = (names: string[]) => openEmbeddedStores({ folder, clock, steps: names.map(step) });
    const epochs: number[] = [];
    for (const names of [["one"], ["one"], ["one", "two", "three"]]) {
      const stores = await open(names);
      epochs.push(stores.bootEpoch);
      await stores.close();
    }
    expect(epochs).toEqual([1, 2, 3]);
    expect(ran).toEqual(["one", "two", "three"]);
    await expect(open(["one"])).rejects.toMatchObject({ code: "SCHEMA_TOO_NEW", detail: { found: 3, known: 1 } });
    const after = await open(["one", "two", "three"]); // the refusal has let go of the folder
    await after.close();
  });

  it("an owner of before the restart cannot claim again at its epoch", async () => {
    const first = await openEmbeddedStores({ folder, clock });
    await first.fence.claim({ shard: 9, epoch: 4 });
    await first.close();
    const again = await openEmbeddedStores({ folder, clock });
    await expect(again.fence.claim({ shard: 9, epoch: 4 })).rejects.toMatchObject({ code: "SHARD_LOST" });
    await again.fence.claim({ shard: 9, epoch: 5 });
    await again.close();
  });
});

/** A file system of its own needs the rights of root. */
function mounted(folder: string): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], { stdio: "ignore" });
    return true;
  } catch {
    return false; // such as within a container: the test is skipped
  }
}

describe("a full disk", () => {
  it("acknowledges nothing, refuses when too much waits, and goes on when there is room", async (context) => {
    const folder = await mkdtemp(join(tmpdir(), "madang-full-"));
    if (!mounted(folder)) {
      await rm(folder, { recursive: true });
      return context.skip();
    }
    try {
      const settings = { heldBytesMax: 2_000_000, checkpointBytes: 200_000, retryPauseMs: 5, retryPauseMaxMs: 20 };
      const stores = await openEmbeddedStores({ folder: join(folder, "data"), clock, settings });
      const tenure = { shard: 1, epoch: stores.bootEpoch };
      await stores.fence.claim(tenure);
      const { log, settled, told } = await openLog(stores.logs, "g1", tenure);
      const text = (id: number) => Buffer.alloc(1_000, id);
      for (let id = 1; id <= 20; id++) log.append(text(id));
      await settled(20);

      await fillUp(join(folder, "filler"));
      let refused: unknown;
      while (refused === undefined) {
        try {
          log.append(text(log.tail + 1));
          if (log.tail % 50 === 0) await pause(clock, 1);
        } catch (error) {
          refused = error;
        }
      }
      expect(refused).toMatchObject({ code: "OVERLOADED", retryable: true, executed: "no" });
      while (stores.stats().failedCommits < 3) await pause(clock, 1);
      const stuckAt = told.at(-1) ?? 0;
      expect(log.settled).toBeLessThan(log.tail);
      expect(log.settled).toBe(stuckAt);

      await rm(join(folder, "filler"));
      await settled(log.tail);
      while (stores.stats().heldBytes > settings.heldBytesMax / 2) await pause(clock, 1);
      expect(log.append(text(log.tail + 1))).toBe(log.tail);
      await settled(log.tail);
      const count = log.tail;
      await stores.close();

      const again = await openEmbeddedStores({ folder: join(folder, "data"), clock, settings });
      const rows = await again.logs.read("g1", everything);
      expect(rows.map(({ record }, index) => record[0] === (index + 1) % 256)).toEqual(
        Array.from({ length: count }, () => true),
      );
      await again.close();
    } finally {
      execFileSync("umount", ["-l", folder]);
      await rm(folder, { recursive: true });
    }
  });
});

async function fillUp(file: string): Promise<void> {
  for (let chunkBytes = 1_048_576; chunkBytes >= 4_096; chunkBytes /= 2) {
    try {
      for (;;) await writeFile(file, Buffer.alloc(chunkBytes), { flag: "a" });
    } catch (error) {
      expect(error).toMatchObject({ code: "ENOSPC" });
    }
  }
}
