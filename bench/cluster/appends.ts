// Records into channel logs: under the fence, without it, and as bare inserts of the driver. On the ring, and on one that answers
// at once (short-ring.ts), where the CPU of the client is its own.

import { storageDefaults } from "../../storage/index.ts";
import { goals, median, type Result, resultOf, say } from "../measure.ts";
import { LOAD_CPU, startMeasured } from "../processes.ts";
import type { AppendOrder, AppendRun } from "./appender.ts";
import { withKeyspace } from "./ring.ts";
import { type Rounds, rounds } from "./rounds.ts";
import type { ShortRing } from "./short-ring.ts";
import type { World } from "./world.ts";

const RUN_MS = 3_000;
/**
 * Of many channels on a ring: a ring pays later for what it took in a few seconds, so in runs of 3 s every second one was half as
 * fast as the one before it, whatever its side (docs/performance.md).
 */
const LONG_RUN_MS = 12_000;
const WARM_UP_MS = 3_000;
/** What the house sends to the ring at a time; the bare inserts are as many. */
const IN_FLIGHT = storageDefaults.requestsInFlightMax;
/** So many that there are always some for the ring, with the fence and without, however many wait for a verify. */
const ON_THEIR_WAY = 4 * IN_FLIGHT;
/** What gathers while a batch is under way fills the next one. */
const hot = { group: "hot", channels: 16 };
const wide = { group: "wide", channels: 5_000 };
const channels = wide.channels.toLocaleString("en");
/** A message of a hot channel counts as one of a batch of at least so many. */
const TOGETHER_MIN = 16;

export async function appends({ environment, name, pairs, withRingAside }: World): Promise<Result[]> {
  const contactPoints = environment.CQL_CONTACT_POINTS ?? "";
  const onTheRing = await withKeyspace(contactPoints, name, () =>
    measure("", { environment, name, pairs }, { onTheirWay: ON_THEIR_WAY, wideRunMs: LONG_RUN_MS }),
  );
  const other = `${name}_short`; // claims of the first are in the other one
  const atOnce = await withKeyspace(contactPoints, other, () =>
    withRingAside(async () => {
      const short = await startMeasured<ShortRing>("cluster/short-ring", [contactPoints], {}, LOAD_CPU);
      const { contactPoints: CQL_CONTACT_POINTS, translate: CQL_TRANSLATE } = short.ready;
      const behind = { ...environment, CQL_CONTACT_POINTS, CQL_TRANSLATE };
      try {
        // As many as the bare inserts have: nothing has to wait so that such a ring is busy.
        const load = { onTheirWay: IN_FLIGHT, wideRunMs: RUN_MS };
        return await measure("at-once-", { environment: behind, name: other, pairs }, load);
      } finally {
        await short.stop();
      }
    }),
  );
  return [
    ...cpuRows(onTheRing, "", true),
    ...cpuRows(atOnce, ", a ring that answers at once", false),
    ...rowsOfHot(onTheRing.hot),
    ...rowsOfWide(onTheRing.wide),
  ];
}

interface Sides {
  readonly hot: Rounds<"fenced" | "bare", AppendRun>;
  readonly wide: Rounds<"fenced" | "unfenced" | "bare", AppendRun>;
}

interface Load {
  /** Records, of all channels together. */
  readonly onTheirWay: number;
  /** For how long over many channels. */
  readonly wideRunMs: number;
}

/** `prefix` stands before the names of profiles, and of channels. */
async function measure(
  prefix: string,
  { environment, name, pairs }: Pick<World, "environment" | "name" | "pairs">,
  { onTheirWay, wideRunMs }: Load,
): Promise<Sides> {
  const start = (way: string) => startMeasured<object>("cluster/appender", [way, name], environment);
  const sides = { fenced: await start("fenced"), unfenced: await start("unfenced"), bare: await start("bare") };
  const run = (way: keyof typeof sides, order: Pick<AppendOrder, "group" | "channels">, forMs = RUN_MS) => {
    const group = prefix + order.group;
    return sides[way].profiled(`appends-${group}-${way}`, () =>
      sides[way].ask<AppendRun>({ ...order, group, onTheirWay, forMs }),
    );
  };
  try {
    for (const way of ["fenced", "bare"] as const) await run(way, hot, WARM_UP_MS);
    const inHot = await rounds(pairs, { fenced: () => run("fenced", hot), bare: () => run("bare", hot) });
    for (const way of ["fenced", "unfenced", "bare"] as const) await run(way, wide, WARM_UP_MS);
    const overMany = await rounds(pairs, {
      fenced: () => run("fenced", wide, wideRunMs),
      unfenced: () => run("unfenced", wide, wideRunMs),
      bare: () => run("bare", wide, wideRunMs),
    });
    sayFailed(inHot);
    sayFailed(overMany);
    return { hot: inHot, wide: overMany };
  } finally {
    await Promise.all(Object.values(sides).map((side) => side.stop()));
  }
}

function cpuRows({ hot: inHot, wide: overMany }: Sides, where: string, withGoals: boolean): Result[] {
  const notMeasured = "CPU of the ring";
  const atMost = (ratio: number) => (withGoals ? { goal: goals.ratioAtMost(ratio) } : {});
  return [
    resultOf({
      name: `append with verify, ${hot.channels} hot channels${where}: client CPU a message`,
      unit: "µs",
      values: cpuOf(inHot.fenced),
      baseline: { name: BARE, values: cpuOf(inHot.bare) },
      ...atMost(0.5),
      notMeasured,
    }),
    resultOf({
      name: `append with verify, ${channels} channels${where}: client CPU a message`,
      unit: "µs",
      values: cpuOf(overMany.fenced),
      baseline: { name: BARE, values: cpuOf(overMany.bare) },
      ...atMost(1.2),
      notMeasured,
    }),
    resultOf({
      name: `append with verify, ${channels} channels${where}: appends a second`,
      unit: "/s",
      values: rateOf(overMany.fenced),
      baseline: { name: BARE, values: rateOf(overMany.bare) },
    }),
  ];
}

const cpuOf = (runs: readonly AppendRun[]) => runs.map((run) => run.cpuUs);
const rateOf = (runs: readonly AppendRun[]) => runs.map((run) => run.perSecond);
const BARE = "bare driver insert";

function sayFailed(sides: Readonly<Record<string, readonly AppendRun[]>>): void {
  for (const [side, runs] of Object.entries(sides)) {
    const failed = runs.reduce((sum, run) => sum + run.failed, 0);
    if (failed > 0) say(`  ${side}: ${failed} requests were not carried out in time, and were sent again`);
  }
}

function rowsOfHot({ fenced, bare }: Rounds<"fenced" | "bare", AppendRun>): Result[] {
  const together = median(fenced.map((run) => run.together));
  say(
    `  hot channels: ${together.toFixed(1)} records together, ${median(fenced.map((run) => run.verifies)).toFixed(4)} verifies each`,
  );
  if (together < TOGETHER_MIN) throw new Error(`only ${together} records left together: this is not a hot channel`);
  return [
    resultOf({
      name: `appends with verify, ${hot.channels} hot channels`,
      unit: "/s",
      values: rateOf(fenced),
      baseline: { name: BARE, values: rateOf(bare) },
    }),
    resultOf({
      name: `append, ${hot.channels} hot channels: records that leave together`,
      unit: "",
      values: fenced.map((run) => run.together),
    }),
  ];
}

function rowsOfWide({ fenced, unfenced }: Sides["wide"]): Result[] {
  return [
    resultOf({
      name: `appends under the fence, ${channels} channels at load`,
      unit: "/s",
      values: rateOf(fenced),
      baseline: { name: "the same without the fence", values: rateOf(unfenced) },
      goal: goals.ratioAtLeast(0.9),
      notMeasured: "a ring on other machines",
    }),
    resultOf({
      name: `append under the fence, ${channels} channels: client CPU a message`,
      unit: "µs",
      values: cpuOf(fenced),
      baseline: { name: "the same without the fence", values: cpuOf(unfenced) },
    }),
    resultOf({
      name: `append under the fence, ${channels} channels: verify reads a message`,
      unit: "",
      values: fenced.map((run) => run.verifies),
    }),
  ];
}
