// `make bench`: measures beside baselines, prints a table, writes bench/results/latest.json and the tables of
// docs/performance.md.
// BENCH_PROFILE=<folder> writes CPU profiles of what is measured.

import { readArguments, wholeNumber } from "../tools/arguments.ts";
import { direct } from "./direct.ts";
import { fanOut } from "./fan-out.ts";
import { idle } from "./idle.ts";
import { goals, type Result, resultOf, say } from "./measure.ts";
import { pinMyself, startMeasured } from "./processes.ts";
import { table, writeResults } from "./report.ts";
import { start } from "./start.ts";

/** Pairs of runs, A B B A: as many as fit a quarter of an hour for everything. */
const PAIRS = 15;

interface Calls {
  readonly local: readonly { readonly cpuUs: number; readonly perSecond: number }[];
  readonly remote: readonly { readonly cpuUs: number; readonly perSecond: number }[];
}

async function calls(): Promise<Result[]> {
  const process = await startMeasured<Calls>("calls");
  const { local, remote } = process.ready;
  await process.stop();
  const baseline = { name: "call of another node, in-memory transport", values: remote.map((run) => run.cpuUs) };
  return [
    resultOf({
      name: "local actor calls on one core",
      unit: "/s",
      values: local.map((run) => run.perSecond),
      goal: goals.atLeast(1_000_000, "/s"),
    }),
    resultOf({ name: "local actor call: CPU", unit: "µs", values: local.map((run) => run.cpuUs), baseline }),
  ];
}

const scenarios = {
  calls,
  start,
  idle,
  direct: () => direct(pairs),
  "fan-out": () => fanOut(pairs),
};

const usage = `make bench, or: node --expose-gc dist/bench/main.js [options] [SCENARIO …]

Measures one node beside its baselines, and writes the table into docs/performance.md. All scenarios, or those that are named,
whose rows alone are written anew: ${Object.keys(scenarios).join(", ")}

  --pairs N  of runs, where there are several (${PAIRS})
  --print    writes nothing
`;
const options = { pairs: { type: "string" }, print: { type: "boolean" } } as const;
const { values, positionals } = readArguments(usage, options, Object.keys(scenarios));
const pairs = wholeNumber(usage, "pairs", values.pairs, PAIRS);
const chosen = positionals.length === 0 ? Object.keys(scenarios) : positionals;
const results: Result[] = [];
pinMyself();
for (const name of chosen) {
  say(`${name} …`);
  results.push(...(await scenarios[name as keyof typeof scenarios]()));
}
process.stdout.write(`${table(results)}\n`);
if (!values.print) await writeResults(results);
process.exit();
