// Calls of actors: on the same node, and on another node of the same process over the in-memory transport, where every
// call is encoded and decoded as it is in a cluster. Runs in a process of its own.

import { PresenceService } from "../proto/index.ts";
import {
  type ActorDefinition,
  createMemoryCluster,
  createNode,
  defineActor,
  type Handlers,
  runtimeDefaults,
  shardOf,
  silentLogger,
  systemClock,
  systemRandom,
} from "../runtime/index.ts";
import { freeFence, freeWakeList } from "./free.ts";
import { beMeasured } from "./processes.ts";

const IN_FLIGHT = 128;
const CALLS = 400_000;
const ROUNDS = 7;

const cluster = createMemoryCluster({ clock: systemClock, shardCount: runtimeDefaults.shardCount });
const nodes = ["here", "there"].map((nodeId) =>
  createNode({
    nodeId,
    settings: runtimeDefaults,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    ...cluster.join(nodeId, ["actors"]),
    fence: freeFence,
    wake: freeWakeList,
    actors: [
      defineActor({
        service: PresenceService,
        passivateAfterMs: 60_000,
        activate: async () => ({ ask: () => ({ presence: null }) }) as unknown as Handlers<typeof PresenceService>,
      }) as unknown as ActorDefinition,
    ],
  }),
);
cluster.spread();

const [here] = nodes;
if (here === undefined) throw new Error("there is no node");
const presences = here.references(PresenceService);
const request = { askerId: 1 };
const placement = cluster.join("looks", []).placement;
const ownedBy = (nodeId: string) =>
  Array.from({ length: 1_000 }, (_, at) => String(at)).filter(
    (id) => placement.ownerOf(shardOf(id, runtimeDefaults.shardCount))?.nodeId === nodeId,
  );

/** CPU microseconds and calls a second, of `count` calls to the actors. */
async function measure(ids: readonly string[], count: number): Promise<{ cpuUs: number; perSecond: number }> {
  const references = ids.slice(0, IN_FLIGHT).map((id) => presences(id));
  const before = { cpu: process.cpuUsage(), atMs: performance.now() };
  await Promise.all(
    references.map(async (reference) => {
      for (let call = 0; call < count / references.length; call++) await reference.ask(request);
    }),
  );
  const cpu = process.cpuUsage(before.cpu);
  return { cpuUs: (cpu.user + cpu.system) / count, perSecond: (count * 1_000) / (performance.now() - before.atMs) };
}

const local: Awaited<ReturnType<typeof measure>>[] = [];
const remote: Awaited<ReturnType<typeof measure>>[] = [];
await measure(ownedBy("here"), CALLS);
await measure(ownedBy("there"), CALLS / 10);
for (let round = 0; round < ROUNDS; round++) {
  local.push(await measure(ownedBy("here"), CALLS));
  remote.push(await measure(ownedBy("there"), CALLS / 10));
}
beMeasured({ local, remote }, () => {});
