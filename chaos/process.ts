// A node as its users run it: the compiled program in a process of its own, which can be killed.

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface NodeProcess {
  readonly http: string;
  readonly ws: string;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Exit code, or null when a signal ended it. */
  readonly exited: Promise<number | null>;
}

const PROGRAM = new URL("../dist/bin/madang.js", import.meta.url).pathname;

/** Starts the program that `make dist` has built, on free ports or those given; resolves when it is ready. */
export function startNodeProcess(
  folder: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<NodeProcess> {
  const environment = { ...process.env };
  for (const name of Object.keys(environment)) if (name.startsWith("MADANG_")) delete environment[name];
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, "start"], {
    env: {
      ...environment,
      MADANG_DATA: folder,
      MADANG_HTTP_PORT: "0",
      MADANG_WS_PORT: "0",
      MADANG_READY_JSON: "1",
      MADANG_LOG_LEVEL: "error",
      ...settings,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said: Buffer[] = [];
  child.stderr?.on("data", (chunk: Buffer) => said.push(chunk));
  const exited = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)));
  return new Promise((resolve, reject) => {
    void exited.then((code) => reject(new Error(`the node ended with ${code}: ${Buffer.concat(said).toString()}`)));
    if (child.stdout === null) return;
    createInterface(child.stdout).once("line", (line) => {
      const { http, ws, pid } = JSON.parse(line) as { http: string; ws: string; pid: number };
      resolve({ http, ws, pid, exited, kill: (signal) => void child.kill(signal) });
    });
  });
}
