// One engine as a process: started, paused, killed and started again on the same addresses and data.
//
//   (I1) An engine does not outlive this process, however this one ends: the kernel kills it (`setpriv --pdeathsig`), and
//        children of a paused one, which cannot notice that, are killed by a guard.
//   (I2) `start` resolves when the engine has answered a real request.
//   (I3) Engines have sessions of their own: Ctrl-C reaches the supervisor, who ends them in his way.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { tail } from "./command.ts";
import { servicesErrors } from "./errors.ts";

/** What faults are made with. All of it is about one process; an engine of several nodes is several of these. */
export interface Engine {
  readonly name: string;
  readonly state: "running" | "paused" | "stopped";
  /** Of the running process; a new one after each start. NOT_STARTED while there is none. */
  readonly pid: number;
  /** Everything that it wrote, over all its lives. */
  readonly logFile: string;
  /** SIGSTOP, to all its processes: connections stay open and nobody answers. */
  pause(): void;
  resume(): void;
  /** SIGKILL; resolves when the process is gone. Works on a paused one. */
  kill(): Promise<void>;
  /** Again, with the same addresses and data; resolves when it answers. */
  start(): Promise<void>;
}

/** How one engine is run; the folders of the engines know. */
export interface EngineRecipe {
  readonly name: string;
  readonly command: readonly string[];
  readonly folder: string;
  readonly logFile: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Instead of the user of this process. */
  readonly user?: string;
  /** Ends it without loss, where SIGTERM is not it. */
  readonly stopSignal?: NodeJS.Signals;
  /** Ends it at once when its data is thrown away, where SIGKILL leaves something behind. */
  readonly discardSignal?: NodeJS.Signals;
  /** One real request: resolves when it was answered, rejects when not (yet). */
  answers(): Promise<void>;
}

export interface StartedEngine extends Engine {
  /** `stopSignal`, and SIGKILL when it takes longer than STOP_WITHIN_MS. */
  stop(): Promise<void>;
  /** The quick end of one whose data nobody wants. */
  discard(): Promise<void>;
}

/**
 * A ring of three starts in 20 s on two idle cores, and took two minutes beside builds and tests that wanted thirty. What is
 * wrongly configured ends by itself at once, so that patience costs nothing.
 */
const READY_WITHIN_MS = 300_000;
const ASK_AGAIN_MS = 100;
/** Cassandra drains what it holds; ten seconds have always been enough for data of tests. */
const STOP_WITHIN_MS = 10_000;

/**
 * Those that an orderly exit of this process ends before it goes on: first, so that nobody writes any more when exit
 * listeners remove the data. The kernel would do it after them.
 */
const living = new Set<ChildProcess>();
process.prependListener("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

type Phase =
  | { readonly name: "stopped" }
  | { readonly name: "running"; readonly child: ChildProcess; readonly exited: Promise<unknown> }
  | {
      readonly name: "paused";
      readonly child: ChildProcess;
      readonly exited: Promise<unknown>;
      readonly guard: ChildProcess;
    };

export function createEngine(recipe: EngineRecipe, log: (line: string) => void): StartedEngine {
  let phase: Phase = { name: "stopped" };

  const alivePhase = () => {
    if (phase.name === "stopped") throw servicesErrors.NOT_STARTED({ message: `${recipe.name} is not running` });
    return phase;
  };

  const start = async (): Promise<void> => {
    if (phase.name !== "stopped") return;
    const { child, exited } = launch(recipe);
    const life: Phase = { name: "running", child, exited };
    phase = life;
    let ended = false;
    void exited.then(() => {
      ended = true;
      if (phase.name === "stopped" || phase.child !== child) return;
      phase = { name: "stopped" };
      log(`${recipe.name} ended by itself (${child.signalCode ?? child.exitCode}); its log is ${recipe.logFile}`);
    });
    const deadline = Date.now() + READY_WITHIN_MS;
    let last: unknown;
    while (!ended && Date.now() < deadline) {
      try {
        await recipe.answers();
        return;
      } catch (error) {
        last = error;
        await pause(ASK_AGAIN_MS);
      }
    }
    const happened = ended ? "ended before it answered" : `did not answer within ${READY_WITHIN_MS} ms`;
    if (!ended) await end("SIGKILL");
    throw servicesErrors.NOT_READY({
      message: `${recipe.name} ${happened} (${(last as Error | undefined)?.message}); its log ends with:\n${tail(readFileSync(recipe.logFile, "utf8"))}`,
    });
  };

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (phase.name === "stopped") return;
    const { child, exited } = phase;
    const paused = phase.name === "paused";
    if (phase.name === "paused") phase.guard.kill("SIGKILL");
    phase = { name: "stopped" };
    if (child.pid === undefined) return;
    // A stopped process takes no other signal than SIGKILL, and its children do not notice that it is gone.
    if (paused || signal === "SIGKILL") for (const pid of tree(child.pid)) send(pid, "SIGKILL");
    else child.kill(signal);
    const late = new AbortController();
    await Promise.race([exited, pause(STOP_WITHIN_MS, undefined, { signal: late.signal }).catch(() => undefined)]);
    late.abort();
    child.kill("SIGKILL");
    await exited;
  };

  return {
    name: recipe.name,
    logFile: recipe.logFile,
    get state() {
      return phase.name;
    },
    get pid() {
      return alivePhase().child.pid as number;
    },
    pause() {
      const running = alivePhase();
      if (running.name === "paused") return;
      const main = running.child.pid as number;
      // The parent first, so that it makes no further children.
      send(main, "SIGSTOP");
      const children = tree(main).slice(1);
      for (const pid of children) send(pid, "SIGSTOP");
      phase = { ...running, name: "paused", guard: guard(children) };
    },
    resume() {
      const paused = alivePhase();
      if (paused.name !== "paused") return;
      paused.guard.kill("SIGKILL");
      for (const pid of tree(paused.child.pid as number).toReversed()) send(pid, "SIGCONT");
      phase = { name: "running", child: paused.child, exited: paused.exited };
    },
    kill: () => end("SIGKILL"),
    stop: () => end(recipe.stopSignal ?? "SIGTERM"),
    discard: () => end(recipe.discardSignal ?? "SIGKILL"),
    start,
  };
}

function launch(recipe: EngineRecipe): { readonly child: ChildProcess; readonly exited: Promise<unknown> } {
  const log = openSync(recipe.logFile, "a");
  try {
    const user = recipe.user === undefined ? [] : [`--reuid=${recipe.user}`, `--regid=${recipe.user}`, "--init-groups"];
    // (I1): the signal is asked for after the change of user, which would clear it, and survives the exec.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", ...user, "--", ...recipe.command], {
      cwd: recipe.folder,
      env: { ...process.env, ...recipe.environment },
      stdio: ["ignore", log, log],
      detached: true, // (I3)
    });
    living.add(child);
    const exited = once(child, "exit")
      .catch(() => undefined)
      .finally(() => living.delete(child));
    return { child, exited };
  } finally {
    closeSync(log);
  }
}

/** Waits for the end of this process, or for its own, and kills `pids` in the first case (I1). */
function guard(pids: readonly number[]): ChildProcess {
  const child = spawn("sh", ["-c", 'read -r _; kill -KILL "$@"', "guard", ...pids.map(String)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  child.on("error", () => undefined);
  child.unref();
  return child;
}

/** The process and all below it, parents before children. */
function tree(pid: number): number[] {
  let children: string;
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  } catch {
    children = ""; // gone meanwhile
  }
  return [
    pid,
    ...children
      .split(" ")
      .filter(Boolean)
      .flatMap((child) => tree(Number(child))),
  ];
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
