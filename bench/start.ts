// From `madang start` to ready: on an empty folder, and with a million messages kept.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Entry } from "../proto/index.ts";
import { systemClock } from "../runtime/index.ts";
import { openEmbeddedStores } from "../storage/index.ts";
import { goals, type Result, resultOf, say } from "./measure.ts";
import { stampedText } from "./texts.ts";

const STARTS = 9;
const MESSAGES = 1_000_000;
const CHANNELS = 1_000;
/** Appended before the others are waited for: what a commit takes. */
const AT_ONCE = 20_000;

export async function start(): Promise<Result[]> {
  const empty: number[] = [];
  const bare: number[] = [];
  for (let run = 0; run < STARTS; run++) {
    const folder = await mkdtemp(join(tmpdir(), "madang-bench-"));
    empty.push(await startMs(folder));
    bare.push(await bareMs());
    await rm(folder, { recursive: true });
  }
  const full: number[] = [];
  const folder = await mkdtemp(join(tmpdir(), "madang-bench-"));
  await fill(folder);
  for (let run = 0; run < STARTS; run++) full.push(await startMs(folder));
  await rm(folder, { recursive: true });
  const baseline = { name: "Node.js, nothing in it", values: bare };
  const measurement = (name: string, values: number[], limitMs: number) =>
    resultOf({
      name,
      unit: "ms",
      values,
      baseline,
      goal: goals.atMost(limitMs, "ms"),
      notMeasured: "a cold disk cache",
    });
  return [
    measurement("start to ready, empty folder", empty, 1_000),
    measurement("start to ready, a million messages kept", full, 3_000),
  ];
}

async function startMs(folder: string): Promise<number> {
  const program = fileURLToPath(new URL("../bin/madang.js", import.meta.url));
  const atMs = performance.now();
  const child = spawn(process.execPath, [program, "start"], {
    env: {
      PATH: process.env.PATH,
      MADANG_DATA: folder,
      MADANG_HTTP_PORT: "0",
      MADANG_WS_PORT: "0",
      MADANG_READY_JSON: "1",
      MADANG_LOG_LEVEL: "error",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(createInterface({ input: child.stdout }), "line");
  const tookMs = performance.now() - atMs;
  child.kill("SIGTERM");
  await once(child, "exit");
  return tookMs;
}

async function bareMs(): Promise<number> {
  const atMs = performance.now();
  const child = spawn(process.execPath, ["-e", "console.log(1)"], { stdio: ["ignore", "pipe", "inherit"] });
  await once(createInterface({ input: child.stdout }), "line");
  return performance.now() - atMs;
}

/** A million messages through the channel logs, as an owner writes them; the last of them still lie in the journal. */
async function fill(folder: string): Promise<void> {
  const stores = await openEmbeddedStores({ folder, clock: systemClock });
  let kept = 0;
  let wake: () => void = () => {};
  const tenure = { shard: 1, epoch: stores.bootEpoch };
  await stores.fence.claim(tenure);
  const logs = await Promise.all(
    Array.from({ length: CHANNELS }, (_, at) => {
      let settled = 0;
      const events = {
        onSettled(through: number) {
          kept += through - settled;
          settled = through;
          wake();
        },
        onLost() {},
      };
      return stores.logs.open(`g${at + 1}`, tenure, events);
    }),
  );
  for (let sent = 0; sent < MESSAGES; ) {
    for (let i = 0; i < AT_ONCE && sent < MESSAGES; i++, sent++) {
      const log = logs[sent % CHANNELS];
      const messageId = (log?.tail ?? 0) + 1;
      const numbers = { messageId, author: 1, producer: 1, number: messageId, ordinal: messageId, settled: 0 };
      const content = { text: { text: stampedText(sent), replyTo: 0 } };
      log?.append(Entry.encode({ ...numbers, timeMs: 1.7e12, content }).finish());
    }
    while (kept < sent) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  await stores.close();
  say(`  ${MESSAGES.toLocaleString("en")} messages are kept`);
}
