// The command line of the programs behind the Makefile.

import { type ParseArgsConfig, parseArgs } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;
type Parsed<Given extends Options> = ReturnType<typeof parseArgs<{ options: Given; allowPositionals: true }>>;

/** Options, and names out of a list. `--help` ends the program with 0 and the usage, what cannot be meant with 2 and the reason. */
export function readArguments<Given extends Options>(
  usage: string,
  options: Given,
  names: readonly string[] = [],
): Parsed<Given> {
  if (process.argv.includes("--help")) {
    process.stdout.write(usage);
    process.exit(0);
  }
  let parsed: Parsed<Given>;
  try {
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    return refuse(usage, (error as Error).message);
  }
  const unknown = parsed.positionals.find((name) => !names.includes(name));
  if (unknown !== undefined) refuse(usage, `${unknown} is not known here`);
  return parsed;
}

/** Ends the program. */
export function refuse(usage: string, message: string): never {
  process.stderr.write(`${message}\n\n${usage}`);
  process.exit(2);
}

/** The number that was typed, or what is meant where nothing was. */
export function wholeNumber(usage: string, option: string, typed: string | undefined, otherwise: number): number {
  const number = Number(typed ?? otherwise);
  if (!Number.isInteger(number) || number < 1)
    refuse(usage, `--${option} takes a whole number, 1 or more, not ${typed}`);
  return number;
}
