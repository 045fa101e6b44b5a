// `make bench-cluster`: starts engines of its own, measures beside baselines, prints a table, writes bench/results/cluster.json
// and the table of the cluster in docs/performance.md.
// BENCH_PROFILE=<folder> writes CPU profiles.

import { randomBytes } from "node:crypto";
import { readArguments, wholeNumber } from "../../tools/arguments.ts";
import { nodeOptions } from "../../tools/cluster/cluster.ts";
import { startServices } from "../../tools/services/index.ts";
import { type Result, say } from "../measure.ts";
import { LOAD_CPU, pin, unpin } from "../processes.ts";
import { type Place, table, writeResults } from "../report.ts";
import { appends } from "./appends.ts";
import { autogroups } from "./autogroups.ts";
import { calls } from "./calls.ts";
import { latency } from "./latency.ts";
import { nodes } from "./nodes.ts";
import { operations } from "./operations.ts";
import { versionsOf } from "./versions.ts";
import type { World } from "./world.ts";

const whole = { pairs: 7, warmUpShare: 1 };
const quick = { pairs: 2, warmUpShare: 0.25 };

type Scenario = (world: World) => Promise<Result[]>;
const scenarios: Readonly<Record<string, Scenario>> = { calls, appends, operations, latency, nodes };

const place: Omit<Place, "beside"> = {
  file: "bench/results/cluster.json",
  first: "<!-- cluster results: written by make bench-cluster -->",
  last: "<!-- end of cluster results -->",
};

const usage = `make bench-cluster, or: node --expose-gc dist/bench/cluster/main.js [options] [SCENARIO …]

Measures a cluster beside its baselines, and writes the table into docs/performance.md. All scenarios, or those that are named,
whose rows alone are written anew: ${Object.keys(scenarios).join(", ")}

  --quick    two pairs of runs, after a short warm-up: shows that all can be measured, and what is far off
  --pairs N  so many (${whole.pairs})
  --print    writes nothing
  --given    uses the engines whose addresses are in the environment
`;

const startedMs = performance.now();
const tell = (line: string) => say(`${((performance.now() - startedMs) / 1_000).toFixed(1).padStart(6)} s  ${line}`);

async function main(): Promise<void> {
  const options = {
    quick: { type: "boolean" },
    pairs: { type: "string" },
    print: { type: "boolean" },
    given: { type: "boolean" },
  } as const;
  const { values, positionals } = readArguments(usage, options, Object.keys(scenarios));
  const chosen = positionals.length === 0 ? Object.keys(scenarios) : positionals;
  const { warmUpShare, ...wanted } = values.quick ? quick : whole;
  const pairs = wholeNumber(usage, "pairs", values.pairs, wanted.pairs);
  if (autogroups() === "1")
    tell("cores are shared by session here, not by thread: latencies say more with kernel.sched_autogroup_enabled=0");
  const services = await startServices({
    given: values.given ? process.env : {},
    cassandraCompilers: "both", // as rings run elsewhere
    log: tell,
  });
  const end = async () => {
    await services.stop();
    process.exit(130);
  };
  process.once("SIGINT", () => void end());
  process.once("SIGTERM", () => void end());
  try {
    const environment = { ...services.environment, ...nodeOptions }; // of the baselines, too
    const results: Result[] = [];
    for (const name of chosen) {
      tell(`${name} …`);
      const world: World = {
        environment,
        name: `bench_${name}_${randomBytes(3).toString("hex")}`,
        pairs,
        warmUpShare,
        async withRingAside(task) {
          // One that was given by its address is elsewhere, or is for whoever gave it to see to.
          const pids = values.given ? [] : services.cassandra.map(({ pid }) => pid);
          for (const pid of pids) pin(pid, LOAD_CPU);
          try {
            return await task();
          } finally {
            for (const pid of pids) unpin(pid);
          }
        },
      };
      results.push(...(await (scenarios[name] as Scenario)(world)));
    }
    process.stdout.write(`${table(results)}\n`);
    tell("done");
    if (!values.print)
      await writeResults(results, {
        ...place,
        beside: { ...(await versionsOf(environment)), sched_autogroup_enabled: autogroups() },
      });
  } finally {
    await services.stop();
  }
}

await main();
process.exit();
