// `make test-cluster`: starts real engines, runs the scenarios one after another, and prints what it saw. The last line counts the
// facts.

import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readArguments } from "../../tools/arguments.ts";
import { type Cluster, startCluster } from "../../tools/cluster/cluster.ts";
import { type Services, startServices } from "../../tools/services/index.ts";
import { badDays } from "./bad-days.ts";
import { blackout } from "./blackout.ts";
import { demo } from "./demo.ts";
import { engines } from "./engines.ts";
import { hotChannel } from "./hot-channel.ts";
import { leader } from "./leader.ts";
import { natsServers } from "./nats-servers.ts";
import { nodes } from "./nodes.ts";
import { operations } from "./operations.ts";
import { restore } from "./restore.ts";
import type { Scenario, World } from "./scenario.ts";
import { secured } from "./secured.ts";
import { services as internalServices } from "./services.ts";
import { zombies } from "./zombies.ts";

const scenarios: Readonly<Record<string, Scenario>> = {
  demo,
  zombies,
  nodes,
  engines,
  "bad-days": badDays,
  "hot-channel": hotChannel,
  restore,
  blackout,
  leader,
  "nats-servers": natsServers,
  services: internalServices,
  operations,
  secured,
};

const startedMs = performance.now();
const print = (line: string) => {
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1).padStart(6);
  process.stdout.write(`${seconds} s  ${line}\n`);
};

async function main(): Promise<void> {
  const listed = Object.entries(scenarios).map(([key, { name }]) => `  ${key.padEnd(14)}${name}\n`);
  const usage = `make test-cluster, or: node dist/chaos/cluster/main.js [--logs FOLDER] [SCENARIO …]

Starts engines and clusters, breaks them, and says what was seen. All scenarios, or those that are named:

${listed.join("")}
  --logs FOLDER  keeps what the nodes write
`;
  const { values, positionals } = readArguments(usage, { logs: { type: "string" } }, Object.keys(scenarios));
  let passed = 0;
  const failed: string[] = [];
  const missed: string[] = [];
  let shared: Services | undefined;
  const end = async () => {
    await shared?.stop();
    process.exit(130);
  };
  process.once("SIGINT", () => void end());
  process.once("SIGTERM", () => void end());
  try {
    for (const key of positionals.length > 0 ? positionals : Object.keys(scenarios)) {
      const scenario = scenarios[key] as Scenario;
      print(`== ${key}: ${scenario.name}`);
      const clusters: Cluster[] = [];
      const fact: World["fact"] = (holds, sentence) => {
        if (holds) passed += 1;
        else failed.push(`${key}: ${sentence}`);
        print(`  ${holds ? "✓" : "✗ NOT TRUE:"} ${sentence}`);
      };
      const figure: World["figure"] = (met, sentence, goal) => {
        if (!met) missed.push(`${key}: ${sentence} (goal: ${goal})`);
        print(`  ${met ? "✓" : "✗ GOAL MISSED:"} ${sentence} (goal: ${goal})`);
      };
      // Engines of our own: they are paused and killed.
      if (!scenario.ownEngines) shared ??= await startServices({ given: {}, log: print });
      const services = scenario.ownEngines ? undefined : shared;
      const world: World = {
        get services() {
          if (services === undefined) throw new Error("the scenario has engines of its own");
          return services;
        },
        fact,
        figure,
        say: (line) => print(`    ${line}`),
        async cluster(layout, settings = {}) {
          const made = await startCluster({
            environment: services?.environment ?? {},
            name: `t-${key}-${randomBytes(3).toString("hex")}`,
            layout: { actors: 1, gateways: 0, apis: 1, pushers: 0, ...layout },
            settings: { MADANG_LOG_LEVEL: values.logs === undefined ? "warn" : "info", ...settings },
            ...(values.logs === undefined ? {} : { logs: values.logs }),
            log: (line) => print(`    ${line}`),
          });
          clusters.push(made);
          return made;
        },
      };
      try {
        await within(scenario.withinMs, scenario.run(world));
      } catch (error) {
        fact(false, `it ran to its end: ${error instanceof Error ? error.stack : String(error)}`);
        for (const cluster of clusters) tellEnd(cluster);
        if (values.logs !== undefined) await keepMetrics(clusters, values.logs);
      }
      await Promise.all(clusters.map((cluster) => cluster.stop()));
    }
  } finally {
    await shared?.stop();
  }
  for (const sentence of missed) process.stdout.write(`GOAL MISSED  ${sentence}\n`);
  for (const sentence of failed) process.stdout.write(`NOT TRUE  ${sentence}\n`);
  process.stdout.write(`${passed} passed, ${failed.length} failed\n`);
  process.exit(failed.length > 0 ? 1 : 0); // clients of a broken scenario may hold it
}

/** For whoever has only this output: how each node is, and the last that it had to say. */
function tellEnd({ nodes }: Cluster): void {
  for (const { nodeId, alive, said } of nodes.values()) {
    print(`    ${nodeId} ${alive ? "is alive" : "is gone"}`);
    for (const line of said().split("\n").filter(Boolean).slice(-LINES_TOLD)) print(`      ${line.slice(0, LINE_MAX)}`);
  }
}

const LINES_TOLD = 8;
const LINE_MAX = 400;

/** What each node counts at the moment of a failure, beside its log. */
async function keepMetrics(clusters: readonly Cluster[], folder: string): Promise<void> {
  for (const cluster of clusters) {
    for (const { name, httpUrl, alive } of cluster.nodes.values()) {
      if (!alive) continue;
      const signal = AbortSignal.timeout(METRICS_WITHIN_MS);
      const text = await fetch(`${httpUrl}/metrics`, { signal }).then(
        (response) => response.text(),
        (error: unknown) => String(error),
      );
      await writeFile(join(folder, `${cluster.name}.${name}.metrics`), text);
    }
  }
}

const METRICS_WITHIN_MS = 2_000;

function within<T>(ms: number, task: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not done within ${ms / 1_000} s`)), ms);
    task.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

await main();
