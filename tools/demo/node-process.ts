// A node as a process of its own, for what starts, kills and restarts it: the demo, and tests of the command line.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

export interface NodeAddresses {
  readonly httpUrl: string;
  /** Empty without the gateway role. */
  readonly wsUrl: string;
}

export interface NodeProcess extends NodeAddresses {
  /** name#incarnation in a cluster. */
  readonly nodeId: string;
  readonly pid: number;
  /** False once the process is gone, however it ended. */
  readonly alive: boolean;
  /** Resolves with what it printed to its error output, when it is gone. */
  readonly gone: Promise<string>;
  /** The end of what it has printed to its error output so far. */
  said(): string;
  /** SIGSTOP and SIGCONT. */
  pause(): void;
  resume(): void;
  /** Power off: no signal handler, no good-bye. Resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

export interface NodeProcessOptions {
  readonly folder: string;
  /** 0 takes free ones. */
  readonly httpPort?: number;
  readonly wsPort?: number;
  /** Further settings, as MADANG_… variables. */
  readonly settings?: Readonly<Record<string, string>>;
  /** What it prints to its error output is appended here, too. */
  readonly logFile?: string;
  /** Runs this program in place of `madang start`. */
  readonly program?: readonly string[];
}

const READY_MS = 30_000;

/** How this program runs its own command line: compiled from dist, or from the sources. */
export function commandLine(...argv: string[]): string[] {
  const compiled = import.meta.url.endsWith(".js");
  const cli = fileURLToPath(new URL(`../../bin/madang.${compiled ? "js" : "ts"}`, import.meta.url));
  return [...(compiled ? [] : ["--import", "tsx"]), cli, ...argv];
}

/** Resolves when the node is ready; rejects, with what it said, when it ends before, or takes longer than 30 s. */
export async function startNodeProcess(options: NodeProcessOptions): Promise<NodeProcess> {
  const [file, ...argv] = tied(process.execPath, ...(options.program ?? commandLine("start")));
  const child = spawn(file, argv, {
    env: {
      PATH: process.env.PATH,
      HOME: options.folder,
      MADANG_DATA: options.folder,
      MADANG_HTTP_PORT: String(options.httpPort ?? 0),
      MADANG_WS_PORT: String(options.wsPort ?? 0),
      MADANG_READY_JSON: "1",
      MADANG_LOG_LEVEL: "error",
      ...options.settings,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = lastOf(child.stderr);
  if (options.logFile !== undefined) child.stderr?.pipe(createWriteStream(options.logFile, { flags: "a" }));
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const gone = exited.then(() => said());
  let alive = true;
  void gone.then(() => {
    alive = false;
  });
  const end = (signal: NodeJS.Signals) => async () => {
    child.kill(signal);
    return (await exited)[0];
  };
  try {
    const { node, http, ws } = await ready(child, gone);
    const kill = end("SIGKILL");
    return {
      nodeId: node,
      httpUrl: http,
      wsUrl: ws,
      pid: child.pid as number,
      gone,
      said,
      get alive() {
        return alive;
      },
      pause: () => void child.kill("SIGSTOP"),
      resume: () => void child.kill("SIGCONT"),
      kill: async () => void (await kill()),
      stop: end("SIGTERM"),
    };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/** A command that ends with whoever runs it, however that ends. Only Linux can do so. */
function tied(file: string, ...argv: string[]): [string, ...string[]] {
  return process.platform === "linux" ? ["setpriv", "--pdeathsig", "KILL", "--", file, ...argv] : [file, ...argv];
}

const SAID_CHARACTERS = 20_000;

/** The end of what a process prints, so that it is there when the process is gone. */
function lastOf(stream: Readable | null): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (part: string) => {
    text = (text + part).slice(-SAID_CHARACTERS);
  });
  return () => text;
}

async function ready(
  child: ChildProcess,
  gone: Promise<string>,
): Promise<{ readonly node: string; readonly http: string; readonly ws: string }> {
  if (child.stdout === null) throw new Error("the node has no output");
  const lines = createInterface({ input: child.stdout });
  const first = once(lines, "line") as Promise<[string]>;
  const timer = new AbortController();
  const late = once(AbortSignal.any([AbortSignal.timeout(READY_MS), timer.signal]), "abort");
  const outcome = await Promise.race([first, gone, late.then(() => undefined)]);
  timer.abort();
  if (outcome === undefined) throw new Error(`the node was not ready within ${READY_MS} ms`);
  if (typeof outcome === "string") throw new Error(`the node ended: ${outcome.trim()}`);
  return JSON.parse(outcome[0]);
}
