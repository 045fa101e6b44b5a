// Everything ends in one moment: all nodes and all engines, by SIGKILL. Then all of it starts again, on the data that is there.
// What the operating system still has to write is not lost this way, as it would be with the power.

import { setTimeout as pause } from "node:timers/promises";
import type { ClusterNode } from "../../tools/cluster/cluster.ts";
import { choosePorts, LOOPBACK } from "../../tools/services/ports.ts";
import { gather, servedSince, stateArrival, statePromises } from "./chatter.ts";
import { ms } from "./nodes.ts";
import type { Scenario } from "./scenario.ts";

const TALK_MS = 4_000;
const SERVED_WITHIN_MS = 60_000;
const SETTLED_MS = 90_000;

export const blackout: Scenario = {
  name: "all nodes and all engines are killed in one moment, and start again",
  withinMs: 300_000,
  async run(world) {
    const cluster = await world.cluster({ actors: 2, gateways: 1, apis: 0 });
    // Clients know the API by its address. One that the kernel gives to nobody while it is down.
    const [port] = await choosePorts([LOOPBACK], [0], false);
    const api = { MADANG_HTTP_PORT: String(port) };
    await cluster.start("api-1", "api", api);
    const chatter = await gather({ cluster, pairs: 8, everyMs: 100, groupEvery: 6 });
    const acked = () => chatter.texts.filter(({ ackedMs }) => ackedMs < Number.POSITIVE_INFINITY).length;
    try {
      chatter.talk();
      await pause(TALK_MS);
      const { nats, consul, cassandra, postgres } = world.services;
      const engines = [...nats, consul, ...cassandra, postgres];
      const nodes = [...cluster.nodes.values()];
      await Promise.all([...nodes, ...engines].map((process) => process.kill()));
      const before = acked();
      const open = chatter.texts.length - before;
      world.fact(
        before > 0,
        `${nodes.length} nodes and ${engines.length} engines are killed: ${before} texts acknowledged, ${open} not`,
      );
      const startedMs = performance.now();
      await Promise.all(engines.map((engine) => engine.start()));
      const readyMs = performance.now();
      await Promise.all(nodes.map((node) => cluster.start(node.name, rolesOf(node), node.name === "api-1" ? api : {})));
      const nodesMs = performance.now();
      const servedMs = await servedSince(chatter, nodesMs, SERVED_WITHIN_MS);
      world.fact(
        true,
        `the engines answer after ${ms(readyMs - startedMs)}, the nodes ${ms(nodesMs - readyMs)} later, ` +
          `and every channel is served again ${ms(servedMs)} after that`,
      );
      await stateArrival(world, chatter, SETTLED_MS);
      await statePromises(world, chatter);
    } finally {
      await chatter.close();
    }
  },
};

/** Nodes of a layout are named for their role. */
const rolesOf = ({ name }: ClusterNode) => name.replace(/-\d+$/, "");
