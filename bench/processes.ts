// The programs that are measured: each a process of its own on a core of its own, told what to do over its channel.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

/** What is measured runs here, with all its threads; the load comes from the other one. */
export const SERVER_CPU = 0;
export const LOAD_CPU = 1;

const GC_ROUNDS = 6;
const GC_PAUSE_MS = 250;

export interface Memory {
  /** Anonymous memory of the process, after garbage collection: no mapped files. */
  readonly userBytes: number;
  readonly heapBytes: number;
}

export interface Measured<Ready> {
  readonly pid: number;
  readonly ready: Ready;
  memory(): Promise<Memory>;
  /** Of all its threads, in microseconds. */
  cpuUs(): number;
  /** Gives it an order, and resolves with what it answers. One at a time. */
  ask<Answer>(order: object): Promise<Answer>;
  /** With BENCH_PROFILE=<folder> writes a CPU profile of the process while `run` runs, as `<name>.cpuprofile`. */
  profiled<T>(name: string, run: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

export function pinMyself(): void {
  pin(process.pid, LOAD_CPU);
}

/** All threads that a process has by now, and those that they make. */
export function pin(pid: number, cpu: number): void {
  execFileSync("taskset", ["-acp", String(cpu), String(pid)], { stdio: "ignore" });
}

export function unpin(pid: number): void {
  execFileSync("taskset", ["-acp", `0-${cpus().length - 1}`, String(pid)], { stdio: "ignore" });
}

/** `program` is a file of this folder, without its ending. Resolves with what it says when it is ready. */
export async function startMeasured<Ready>(
  program: string,
  argv: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
  cpu = SERVER_CPU,
): Promise<Measured<Ready>> {
  const ending = import.meta.url.endsWith(".js") ? "js" : "ts";
  const file = fileURLToPath(new URL(`./${program}.${ending}`, import.meta.url));
  const clean = Object.entries(process.env).filter(([name]) => !name.startsWith("MADANG_"));
  const child: ChildProcess = spawn("taskset", ["-c", String(cpu), process.execPath, "--expose-gc", file, ...argv], {
    env: { ...Object.fromEntries(clean), ...environment },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const gone = new Promise<never>((_, reject) => {
    child.once("exit", (code) => reject(new Error(`${program} ended with ${code}`)));
  });
  gone.catch(() => undefined);
  const told = <T>() => new Promise<T>((resolve) => child.once("message", (message) => resolve(message as T)));
  const ready = await Promise.race([told<Ready>(), gone]);
  const pid = child.pid ?? 0;
  return {
    pid,
    ready,
    cpuUs: () => cpuUsOf(pid),
    async memory() {
      const answer = told<{ heapBytes: number }>();
      child.send("memory");
      const { heapBytes } = await Promise.race([answer, gone]);
      return { heapBytes, userBytes: anonymousBytesOf(pid) };
    },
    async ask<Answer>(order: object) {
      const answer = told<{ readonly answer?: Answer; readonly failed?: string }>();
      child.send({ order });
      const outcome = await Promise.race([answer, gone]);
      if (outcome.failed !== undefined) throw new Error(`${program}: ${outcome.failed}`);
      return outcome.answer as Answer;
    },
    async profiled(name, run) {
      const folder = process.env.BENCH_PROFILE;
      if (folder === undefined) return run();
      child.send("profile");
      const outcome = await run();
      const written = told();
      child.send({ profile: join(folder, `${name}.cpuprofile`) });
      await Promise.race([written, gone]);
      return outcome;
    },
    async stop() {
      if (!child.connected) return; // it has ended by itself
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.send("stop");
      await ended;
    },
  };
}

type Order = { readonly order: object };

/** The other end: says that it is ready, and answers. */
export function beMeasured<Asked extends object>(
  ready: object,
  stop: () => Promise<void> | void,
  obey?: (order: Asked) => Promise<unknown>,
): void {
  const inspector = new Session();
  process.on("message", (message: string | Order | { readonly profile: string }) => {
    if (message === "profile") {
      inspector.connect();
      inspector.post("Profiler.enable");
      inspector.post("Profiler.setSamplingInterval", { interval: 200 });
      inspector.post("Profiler.start");
    } else if (typeof message === "object" && "order" in message) {
      obey?.(message.order as Asked).then(
        (answer) => process.send?.({ answer }),
        (error: unknown) => process.send?.({ failed: error instanceof Error ? error.stack : String(error) }),
      );
    } else if (typeof message === "object") {
      inspector.post("Profiler.stop", (_error, { profile }) => {
        writeFileSync(message.profile, JSON.stringify(profile));
        inspector.disconnect();
        process.send?.("profiled");
      });
    } else if (message === "memory") {
      void collectAll().then(() => process.send?.({ heapBytes: process.memoryUsage().heapUsed }));
    } else if (message === "stop") {
      void Promise.resolve(stop()).then(() => process.exit());
    }
  });
  process.on("disconnect", () => process.exit()); // whoever measures is gone
  process.send?.(ready);
}

/** What the collector does when a process has been quiet for a while: it moves together what lives, and hands pages back. */
async function collectAll(): Promise<void> {
  setFlagsFromString("--compact-on-every-full-gc");
  for (let round = 0; round < GC_ROUNDS; round++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, GC_PAUSE_MS)); // pages are handed back by another thread
  }
  setFlagsFromString("--no-compact-on-every-full-gc");
}

/** Of all threads of a process, in microseconds. */
export function cpuUsOf(pid: number): number {
  let sumNs = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sumNs += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  }
  return sumNs / 1_000;
}

function anonymousBytesOf(pid: number): number {
  const line = /RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? 0) * 1_024;
}
