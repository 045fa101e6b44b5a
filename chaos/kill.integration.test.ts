// The compiled program, under load, ended in every way that a process can be.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ErrorCode, GoAwayReason } from "../proto/index.ts";
import { seededRandom } from "../runtime/index.ts";
import { type NodeProcess, startNodeProcess } from "./process.ts";
import { findFaults, request, signUp, Talker } from "./talker.ts";

/** Random moments at which the program is killed, in one life of one folder. */
const KILLS = Number(process.env.MADANG_TEST_KILLS ?? 50);
const TALKERS = 8;

let folder: string;
let running: NodeProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "madang-kill-"));
});
afterEach(async () => {
  running?.kill("SIGKILL");
  await running?.exited;
  running = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function start(settings: Readonly<Record<string, string>> = {}): Promise<NodeProcess> {
  running = await startNodeProcess(folder, settings);
  return running;
}

/** People of one group, and pairs that chat 1:1. */
async function gather(node: NodeProcess): Promise<Talker[]> {
  const accounts = await Promise.all(Array.from({ length: TALKERS }, (_, at) => signUp(node.http, `talker${at}`)));
  const owner = accounts[0] as (typeof accounts)[number];
  const memberIds = accounts.slice(1).map((account) => account.userId);
  const made = await request<{ channelId: string }>("POST", `${node.http}/v1/channels`, owner.token, {
    title: "yard",
    memberIds,
  });
  return accounts.map((account, at) => {
    const peer = accounts[at ^ 1] as (typeof accounts)[number];
    const [low, high] = [Math.min(account.userId, peer.userId), Math.max(account.userId, peer.userId)];
    return new Talker(account, at < TALKERS / 2 ? made.channelId : `d${low}.${high}`, 1_000 + at);
  });
}

const connectAll = (talkers: readonly Talker[], node: NodeProcess) =>
  Promise.all(talkers.map((talker) => talker.connect(node.http, node.ws)));

async function faultsOf(talkers: readonly Talker[]): Promise<string[]> {
  const channels = new Set(talkers.map((talker) => talker.channelId));
  const found = await Promise.all(
    [...channels].map(async (channelId) => {
      const together = talkers.filter((talker) => talker.channelId === channelId);
      return findFaults(await (together[0] as Talker).history(), together);
    }),
  );
  return found.flat();
}

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("a program that is killed under load", () => {
  it(`at ${KILLS} random moments has kept everything that it acknowledged, dense, once, in order`, async () => {
    const random = seededRandom(20_261_123);
    let node = await start();
    const talkers = await gather(node);
    for (let kill = 0; kill < KILLS; kill++) {
      await connectAll(talkers, node);
      const talking = Promise.all(talkers.map((talker) => talker.talk()));
      await delay(random.next() * 150);
      node.kill("SIGKILL");
      await node.exited;
      await talking;
      node = await start();
    }
    await connectAll(talkers, node);
    const acked = talkers.reduce((sum, talker) => sum + talker.acked.length, 0);
    expect(acked).toBeGreaterThan(KILLS * 10);
    expect(await faultsOf(talkers)).toEqual([]);
    for (const talker of talkers) talker.close();
  }, 300_000);
});

describe("a program that is told to stop under load", () => {
  it("tells its clients to go away, loses nothing that it acknowledged, and ends with 0", async () => {
    const node = await start();
    const talkers = await gather(node);
    await connectAll(talkers, node);
    const talking = Promise.all(talkers.map((talker) => talker.talk()));
    await expect.poll(() => talkers.every((talker) => talker.acked.length > 20), { timeout: 20_000 }).toBe(true);
    node.kill("SIGTERM");
    expect(await node.exited).toBe(0);
    await talking;
    for (const talker of talkers) expect(talker.goneAway).toEqual([GoAwayReason.SHUTDOWN]);
    await connectAll(talkers, await start());
    expect(await faultsOf(talkers)).toEqual([]);
  });
});

describe("a program on a folder that another one has", () => {
  it("does not start, and says who has it", async () => {
    const node = await start();
    await expect(startNodeProcess(folder)).rejects.toThrow(new RegExp(`DATA_FOLDER_IN_USE.*${node.pid}`, "s"));
  });
});

describe("a program with a wrong setting", () => {
  it("does not start, and names the setting and the reason", async () => {
    await expect(startNodeProcess(folder, { MADANG_WS_PORT: "99999" })).rejects.toThrow(
      /2: .*MADANG_WS_PORT must be a port/,
    );
    await expect(startNodeProcess(folder, { MADANG_CHAT_GRUOP: "1" })).rejects.toThrow(
      /2: .*MADANG_CHAT_GRUOP names no setting/,
    );
  });
});

/** A file system of a few megabytes, where this machine lets us have one. */
function smallDisk(at: string): (() => void) | undefined {
  mkdirSync(at, { recursive: true });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", at], { stdio: "ignore" });
    return () => void execFileSync("umount", ["-l", at], { stdio: "ignore" });
  } catch {
    return undefined;
  }
}

describe("a full disk", () => {
  it("acknowledges nothing that is not kept, keeps what it acknowledged, and goes on when there is room", async (context) => {
    const at = join(folder, "disk");
    const unmount = smallDisk(at);
    if (unmount === undefined) return context.skip("no file system can be mounted here");
    try {
      running = await startNodeProcess(join(at, "data"));
      const node = running;
      const talkers = await gather(node);
      await connectAll(talkers, node);
      let stop = false;
      const talking = Promise.all(talkers.map((talker) => talker.talk(() => stop)));
      const acked = () => talkers.reduce((sum, talker) => sum + talker.acked.length, 0);
      await expect.poll(acked, { timeout: 20_000 }).toBeGreaterThan(100);
      const ballast = join(at, "ballast");
      const fill = () => {
        for (let megabytes = 24; megabytes > 0; megabytes--) {
          try {
            writeFileSync(`${ballast}${megabytes}`, Buffer.alloc(megabytes * 262_144));
          } catch {
            continue; // until nothing fits any more
          }
        }
      };
      fill();
      // Somebody is told that the outcome is unknown: nothing can be kept now.
      const unknown = () => talkers.some(({ errors }) => errors.includes(ErrorCode.DEADLINE_EXCEEDED));
      await expect.poll(unknown, { timeout: 60_000 }).toBe(true);
      const before = acked();
      execFileSync("sh", ["-c", `rm -f ${ballast}*`]);
      await expect.poll(acked, { timeout: 60_000 }).toBeGreaterThan(before + 100);
      stop = true;
      await talking;
      expect(await faultsOf(talkers)).toEqual([]);
      node.kill("SIGKILL");
      await node.exited;
      running = await startNodeProcess(join(at, "data"));
      await connectAll(talkers, running);
      expect(await faultsOf(talkers)).toEqual([]);
    } finally {
      running?.kill("SIGKILL");
      await running?.exited;
      unmount();
    }
  });
});
