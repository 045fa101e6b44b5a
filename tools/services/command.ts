// A command that runs to its end, as a step of laying down an engine.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { servicesErrors } from "./errors.ts";

export interface CommandOptions {
  readonly folder?: string;
  /** Laid over the environment of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Goes on when this process is killed, because half of it is worse than all of it. */
  readonly toItsEnd?: boolean;
}

/** What a failed command shows of its output: the cause stands at the end, and a page of it is enough. */
const TAIL_LINES = 40;
const OUTPUT_CHARACTERS_MAX = 100_000;

/** Resolves when the command ended well; STEP_FAILED names the command and shows the end of what it said. */
export async function run(command: readonly string[], options: CommandOptions = {}): Promise<void> {
  const dying = options.toItsEnd ? [] : ["setpriv", "--pdeathsig", "TERM", "--"];
  const [program, ...argv] = [...dying, ...command] as [string, ...string[]];
  const child = spawn(program, argv, {
    ...(options.folder === undefined ? {} : { cwd: options.folder }),
    env: { ...process.env, ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  let ending: string;
  try {
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    if (code === 0) return;
    ending = signal ?? `exit code ${code}`;
  } catch (error) {
    ending = (error as Error).message;
  }
  throw servicesErrors.STEP_FAILED({
    message: `\`${command.join(" ")}\` failed (${ending})${options.folder === undefined ? "" : ` in ${options.folder}`}:\n${tail(output)}`,
  });
}

export function tail(text: string): string {
  return text.trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
}

/** The program's path, or undefined. `folders` are looked through after PATH. */
export function findProgram(name: string, folders: readonly string[] = []): string | undefined {
  const places = [...(process.env.PATH ?? "").split(delimiter), ...folders].map((folder) => join(folder, name));
  return places.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Refuses with a sentence that says what to install. */
export function requireProgram(name: string, advice: string): void {
  if (findProgram(name) !== undefined) return;
  throw servicesErrors.TOOL_MISSING({ message: `\`${name}\` is not on the PATH: ${advice}` });
}
