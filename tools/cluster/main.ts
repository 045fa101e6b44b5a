// `make cluster`: engines, and a cluster of several nodes on them, until Ctrl-C. Engines whose addresses are set are not started.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { columns } from "../../bin/columns.ts";
import { readArguments, wholeNumber } from "../arguments.ts";
import { startServices } from "../services/index.ts";
import { type Cluster, startCluster } from "./cluster.ts";

const startedMs = performance.now();
const log = (line: string) => {
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1).padStart(6);
  process.stderr.write(`${seconds} s  ${line}\n`);
};

const usage = `usage: make cluster [NODES=3]
  --nodes N       actor nodes; two gateways, one API node and one push node come with them
  --name NAME     of the cluster, by default "yard"
`;

async function main(): Promise<void> {
  const { values } = readArguments(usage, { nodes: { type: "string" }, name: { type: "string" } });
  const actors = wholeNumber(usage, "nodes", values.nodes, 3);
  const ending = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  });
  const services = await startServices({ log });
  const logs = await mkdtemp(join(tmpdir(), "madang-cluster-logs-"));
  try {
    const cluster = await startCluster({
      environment: services.environment,
      name: values.name ?? "yard",
      layout: { actors, gateways: 2, apis: 1, pushers: 1 },
      settings: { MADANG_LOG_LEVEL: "warn" },
      logs,
      log,
    });
    let stopping = false;
    for (const { name, gone } of cluster.nodes.values()) {
      void gone.then(() => {
        if (!stopping) log(`${name} ended by itself`);
      });
    }
    try {
      for (const [name, value] of Object.entries(cluster.settings)) process.stdout.write(`export ${name}='${value}'\n`);
      process.stdout.write(`\nHTTP API   ${cluster.apiUrl}   (documentation: ${cluster.apiUrl}/docs)\n`);
      process.stdout.write("In another terminal, after these exports: node dist/bin/madang.js nodes\n");
      process.stdout.write(
        `and: node dist/bin/madang.js chat --as ann --server ${cluster.apiUrl}\n\n${listed(cluster)}`,
      );
      process.stdout.write(`What they print is in ${logs} until the end.\n`);
      log("Ctrl-C ends it all");
      await ending;
    } finally {
      stopping = true;
      await cluster.stop();
    }
  } finally {
    await services.stop();
    await rm(logs, { recursive: true, force: true });
  }
}

/** For who wants to kill one, pause one, or look at its metrics. */
function listed({ nodes }: Cluster): string {
  const rows = [...nodes.values()].map(({ name, pid, httpUrl, wsUrl }) => [name, String(pid), httpUrl, wsUrl]);
  return columns([["NODE", "PID", "HTTP", "WEBSOCKETS"], ...rows]);
}

await main();
