// Both ends of a call between two nodes: a real node on a real transport, and beside it a bare connection of the client's own
// library. Which end, the arguments tell.
//
//   call-node <caller | callee> <cluster>

import { connect } from "@nats-io/transport-node";
import { PresenceService } from "../../proto/index.ts";
import {
  type ActorDefinition,
  connectNats,
  createNatsTransport,
  createNode,
  defineActor,
  type Handlers,
  natsDefaults,
  runtimeDefaults,
  silentLogger,
  subjectsOf,
  systemClock,
  systemRandom,
} from "../../runtime/index.ts";
import { freeFence, freeWakeList } from "../free.ts";
import { beMeasured } from "../processes.ts";
import { fixedMembership, fixedPlacement } from "./fixed-placement.ts";

export interface CallOrder {
  readonly way: "actor" | "request" | "untraced request";
  readonly inFlight: number;
  readonly forMs: number;
}

export interface CallRun {
  readonly cpuUs: number;
  readonly perSecond: number;
}

const [end = "", cluster = ""] = process.argv.slice(2);
const url = process.env.NATS_URL ?? "";
const CALLEE = "callee#1";
const nodeId = end === "callee" ? CALLEE : "caller#1";

const nats = await connectNats({ settings: { ...natsDefaults, url }, name: nodeId, log: silentLogger });
const subjects = subjectsOf(cluster);
const node = createNode({
  nodeId,
  settings: runtimeDefaults,
  clock: systemClock,
  random: systemRandom,
  log: silentLogger,
  transport: createNatsTransport({ nats, subjects, nodeId, clock: systemClock, routes: false }),
  membership: fixedMembership(CALLEE),
  placement: fixedPlacement(nodeId, CALLEE, runtimeDefaults.shardCount),
  fence: freeFence,
  wake: freeWakeList,
  actors: [
    defineActor({
      service: PresenceService,
      passivateAfterMs: 600_000,
      activate: async () => ({ ask: () => ({ presence: null }) }) as unknown as Handlers<typeof PresenceService>,
    }) as unknown as ActorDefinition,
  ],
});
const servers = URL.parse(url)?.host ?? url;
const bare = await connect({ servers });
const untraced = await connect({ servers, noAsyncTraces: true });

const request = { askerId: 1 };
const { ask } = PresenceService.methods;
const bytes = ask.request.encode(request).finish();
const answer = ask.reply.encode({ presence: null }).finish();
const bareSubject = `bench.${cluster}`;
if (end === "callee") bare.subscribe(bareSubject, { callback: (_error, message) => void message.respond(answer) });
await Promise.all([nats.flush(), bare.flush()]);

const presences = node.references(PresenceService);
const ways: Readonly<Record<CallOrder["way"], (worker: number) => () => Promise<unknown>>> = {
  actor(worker) {
    const reference = presences(String(worker));
    return () => reference.ask(request);
  },
  request: () => () => bare.request(bareSubject, bytes, { timeout: 5_000 }),
  "untraced request": () => () => untraced.request(bareSubject, bytes, { timeout: 5_000 }),
};

/** So many callers at a time, each with its next call when the last one is answered. */
async function run({ way, inFlight, forMs }: CallOrder): Promise<CallRun> {
  const startMs = performance.now();
  const cpu = process.cpuUsage();
  let calls = 0;
  await Promise.all(
    Array.from({ length: inFlight }, async (_, worker) => {
      const call = ways[way](worker);
      while (performance.now() - startMs < forMs) {
        await call();
        calls += 1;
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  return { cpuUs: (user + system) / calls, perSecond: (calls * 1_000) / (performance.now() - startMs) };
}

async function stop(): Promise<void> {
  await Promise.all([node.close(), nats.close(), bare.close(), untraced.close()]);
}

beMeasured({}, stop, run);
