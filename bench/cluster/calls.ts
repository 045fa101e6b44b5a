// A call of an actor on another node, and `request()` of the NATS client, over the same server to the same process: what it
// costs the caller, and how many there are in a second.

import { goals, interleaved, type Result, resultOf, say } from "../measure.ts";
import { LOAD_CPU, type Measured, startMeasured } from "../processes.ts";
import type { CallOrder, CallRun } from "./call-node.ts";
import type { World } from "./world.ts";

const IN_FLIGHT = 128;
const RUN_MS = 1_000;
const WARM_UP_MS = 1_500;

export async function calls({ environment, name, pairs }: World): Promise<Result[]> {
  const start = (end: string, cpu?: number) =>
    startMeasured<object>("cluster/call-node", [end, name], environment, cpu);
  const callee = await start("callee", LOAD_CPU);
  const caller = await start("caller");
  const run = (way: CallOrder["way"], inFlight: number, forMs = RUN_MS) =>
    caller.profiled(`calls-${way}`, () => caller.ask<CallRun>({ way, inFlight, forMs }));
  try {
    for (const way of ["actor", "request", "untraced request"] as const) await run(way, IN_FLIGHT, WARM_UP_MS);
    const calleeShare = await shareOf(callee, () => run("actor", IN_FLIGHT));
    say(`  callee: ${Math.round(100 * calleeShare)} % of its core`);
    const many = await interleaved(
      pairs,
      () => run("actor", IN_FLIGHT),
      () => run("request", IN_FLIGHT),
    );
    const untraced = await interleaved(
      Math.ceil(pairs / 2),
      () => run("actor", IN_FLIGHT),
      () => run("untraced request", IN_FLIGHT),
    );
    const single = await interleaved(
      Math.ceil(pairs / 2),
      () => run("actor", 1),
      () => run("request", 1),
    );
    return rowsOf(many, untraced, single);
  } finally {
    await Promise.all([caller.stop(), callee.stop()]);
  }
}

interface Runs {
  readonly a: readonly CallRun[];
  readonly b: readonly CallRun[];
}

function rowsOf(many: Runs, untraced: Runs, single: Runs): Result[] {
  const cpu = ({ a, b }: Runs, name: string) => ({
    unit: "µs",
    values: a.map((run) => run.cpuUs),
    baseline: { name, values: b.map((run) => run.cpuUs) },
  });
  return [
    resultOf({
      name: `remote actor call, ${IN_FLIGHT} in flight: caller's CPU`,
      ...cpu(many, "nc.request()"),
      goal: goals.ratioAtMost(0.25),
      notMeasured: "several NATS servers; the callee's CPU",
    }),
    resultOf({
      name: `remote actor calls, ${IN_FLIGHT} in flight`,
      unit: "/s",
      values: many.a.map((run) => run.perSecond),
      baseline: { name: "nc.request()", values: many.b.map((run) => run.perSecond) },
      goal: goals.ratioAtLeast(3),
    }),
    resultOf({
      name: `remote actor call, ${IN_FLIGHT} in flight: caller's CPU beside requests without traces`,
      ...cpu(untraced, "nc.request(), noAsyncTraces"),
    }),
    resultOf({
      name: "remote actor call, one at a time: caller's CPU",
      ...cpu(single, "nc.request()"),
    }),
  ];
}

/** Of its core, while `run` runs. */
async function shareOf(process: Measured<unknown>, run: () => Promise<unknown>): Promise<number> {
  const before = { cpuUs: process.cpuUs(), atMs: performance.now() };
  await run();
  return (process.cpuUs() - before.cpuUs) / 1_000 / (performance.now() - before.atMs);
}
