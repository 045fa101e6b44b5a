// A node as a process of its own, for what starts, kills and restarts it: the demo, and tests of the command line.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface NodeAddresses {
  readonly httpUrl: string;
  readonly wsUrl: string;
}

export interface NodeProcess extends NodeAddresses {
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
}

const READY_MS = 30_000;

/** How this program runs its own command line: compiled from dist, or from the sources. */
export function commandLine(...argv: string[]): string[] {
  const compiled = import.meta.url.endsWith(".js");
  const cli = fileURLToPath(new URL(`../../bin/madang.${compiled ? "js" : "ts"}`, import.meta.url));
  return [...(compiled ? [] : ["--import", "tsx"]), cli, ...argv];
}

/** Resolves when the node is ready; rejects when it ends before, or takes longer than 30 s. */
export async function startNodeProcess(options: NodeProcessOptions): Promise<NodeProcess> {
  const child = spawn(process.execPath, commandLine("start"), {
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
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const end = (signal: NodeJS.Signals) => async () => {
    child.kill(signal);
    return (await exited)[0];
  };
  try {
    const { httpUrl, wsUrl } = await ready(child, exited);
    const kill = end("SIGKILL");
    return { httpUrl, wsUrl, kill: async () => void (await kill()), stop: end("SIGTERM") };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

async function ready(child: ChildProcess, exited: Promise<unknown>): Promise<NodeAddresses> {
  if (child.stdout === null) throw new Error("the node has no output");
  const lines = createInterface({ input: child.stdout });
  const first = once(lines, "line") as Promise<[string]>;
  const timer = new AbortController();
  const late = once(AbortSignal.any([AbortSignal.timeout(READY_MS), timer.signal]), "abort");
  const line = await Promise.race([first, exited.then(() => undefined), late.then(() => undefined)]);
  timer.abort();
  if (line === undefined) throw new Error("the node ended, or was not ready in time");
  const { http, ws } = JSON.parse(line[0]) as { readonly http: string; readonly ws: string };
  return { httpUrl: http, wsUrl: ws };
}
