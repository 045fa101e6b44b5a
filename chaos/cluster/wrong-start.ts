// A node that cannot start, as whoever started it sees it: how it ends, and what it says.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandLine } from "../../tools/demo/node-process.ts";

export interface WrongStart {
  /** In the words of whoever made the mistake. */
  readonly what: string;
  readonly settings: Readonly<Record<string, string>>;
  /** That it has to name; empty where the setting itself is wrong, and the variable is named. */
  readonly code: string;
  /** What else its line has to contain. */
  readonly says: RegExp;
  /** That its line must not contain. */
  readonly secrets?: readonly string[];
  /** In front of it, such as faketime. */
  readonly wrapper?: readonly string[];
}

export interface Ending {
  readonly code: number | null;
  readonly said: string;
  readonly tookMs: number;
}

/** The end of one that starts after all: it is killed. */
const RUNS_AFTER_MS = 40_000;
const EXIT_CANNOT_START = 1;
const EXIT_WRONG_SETTING = 2;

export async function startWrongly({ settings, wrapper = [] }: WrongStart): Promise<Ending> {
  const folder = await mkdtemp(join(tmpdir(), "madang-wrong-"));
  const startedMs = performance.now();
  const [file = "", ...argv] = [...wrapper, process.execPath, ...commandLine("start")];
  const own = { MADANG_DATA: folder, MADANG_HTTP_PORT: "0", MADANG_WS_PORT: "0" };
  // As the level is when nobody says anything: what is wrong is said once, and not as a line of the log, too.
  const env = { PATH: process.env.PATH, HOME: folder, ...own, ...settings, MADANG_LOG_LEVEL: "info" };
  const child = spawn(file, argv, { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part: string) => {
      said += part;
    });
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), RUNS_AFTER_MS);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  await rm(folder, { recursive: true, force: true });
  return { code, said, tookMs: performance.now() - startedMs };
}

/** What is wrong with such an end; empty if nothing is. */
export function faultsOf({ code, says, secrets = [] }: WrongStart, { code: exit, said }: Ending): string[] {
  const lines = said.trimEnd().split("\n");
  const expected = code === "" ? EXIT_WRONG_SETTING : EXIT_CANNOT_START;
  return [
    ...(exit === expected ? [] : [`exit code ${exit} in place of ${expected}`]),
    ...(lines.length === 1 ? [] : [`${lines.length} lines`]),
    ...(said.startsWith("madang: ") ? [] : ["it does not say who speaks"]),
    ...(said.includes(code) ? [] : [`no ${code}`]),
    ...(says.test(said) ? [] : [`nothing like ${says}`]),
    ...(/\n\s+at /.test(said) ? ["a stack"] : []),
    ...(secrets.some((secret) => said.includes(secret)) ? ["a secret"] : []),
  ];
}
