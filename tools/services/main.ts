// `make services`: the supervisor of the engines on the command line. Addresses go to the output, what happens to the errors'.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { MadangError } from "../../runtime/errors.ts";
import { parseArguments, usage } from "./arguments.ts";
import { cacheFolder } from "./cache.ts";
import { exportLines } from "./environment.ts";
import { startServices } from "./index.ts";
import { provision } from "./provision.ts";

const startedMs = performance.now();
const log = (line: string) => {
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1).padStart(6);
  process.stderr.write(`${seconds} s  ${line}\n`);
};

/** Resolves at the first wish to end; a second one ends without care, and the kernel ends the engines. */
function wishToEnd(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => {
        resolve(signal);
        process.once(signal, () => process.exit(128 + constants.signals[signal]));
      });
    }
  });
}

async function main(): Promise<number> {
  const options = parseArguments(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (options.provisionOnly) {
    await provision(options.only, cacheFolder(), log);
    return 0;
  }
  const { dataFolder, ...rest } = options;
  const ending = wishToEnd();
  const starting = startServices({ ...rest, ...(dataFolder === undefined ? {} : { dataFolder }), log });
  // Whoever is in the middle of a start ends here, and takes what he has started with him.
  const early = await Promise.race([starting, ending]);
  if (typeof early === "string") return 128 + constants.signals[early];
  const services = await starting;
  try {
    if (options.command.length > 0) return await runCommand(options.command, services.environment, ending);
    process.stdout.write(exportLines(services.environment));
    log("all answer; Ctrl-C ends them");
    await ending;
    return 0;
  } finally {
    await services.stop();
  }
}

async function runCommand(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
  ending: Promise<NodeJS.Signals>,
): Promise<number> {
  // It ends with its supervisor as the engines do: without them it has nothing to do.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...command], {
    env: { ...process.env, ...environment },
    stdio: "inherit",
  });
  // Ctrl-C reaches it from the terminal; what is sent to this process only is told to it.
  void ending.then((signal) => (signal === "SIGINT" && process.stdin.isTTY) || child.kill(signal));
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + constants.signals[signal as NodeJS.Signals];
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof MadangError ? error.message : (error as Error).stack}\n`);
  process.exitCode = error instanceof MadangError && error.code === "BAD_ARGUMENTS" ? 2 : 1;
}
process.exit();
