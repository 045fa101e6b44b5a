// For tests of the runtime by itself: several nodes in one process, on a virtual clock, with an actor that is made up.

import { type PresenceReply, PresenceService, type ReportNotice } from "../proto/index.ts";
import {
  type ActorContext,
  type ActorDefinition,
  createMemoryCluster,
  createNode,
  createVirtualClock,
  defineActor,
  type Handlers,
  type Lifecycle,
  type MemoryCluster,
  type Node,
  noTracer,
  type RuntimeSettings,
  runtimeDefaults,
  type ShardFence,
  seededRandom,
  shardOf,
  silentLogger,
  type Tenure,
  type Tracer,
  type VirtualClock,
  type WakeList,
  type WakeRow,
} from "./index.ts";

export const SHARDS = 8;

/** What an actor of this test does; the methods are those of a service that exists, their meaning is not. */
export type Behaviour = Partial<Handlers<typeof PresenceService>> & Lifecycle;

export interface Rig {
  readonly clock: VirtualClock;
  readonly cluster: MemoryCluster;
  readonly nodes: Node[];
  /** `<node>/<actor id>` of each activation, in order. */
  readonly activations: string[];
  readonly wakeRows: Map<number, WakeRow[]>;
  ask(node: number, id: string, options?: { deadlineMs?: number; signal?: AbortSignal }): Promise<PresenceReply>;
  ownerOf(id: string): string;
  until<T>(promise: Promise<T>): Promise<T>;
}

const rigs: Rig[] = [];
/** After each test. */
export async function closeRigs(): Promise<void> {
  for (const { nodes, until } of rigs.splice(0)) await until(Promise.all(nodes.map((node) => node.close())));
}

export async function rig(
  nodeCount: number,
  behave: (context: ActorContext, node: string) => Behaviour | Promise<Behaviour>,
  settings: Partial<RuntimeSettings> = {},
  passivateAfterMs = 60_000,
  tracer: Tracer = noTracer,
): Promise<Rig> {
  const clock = createVirtualClock();
  const cluster = createMemoryCluster({ clock, shardCount: SHARDS, networkDelayMs: 1 });
  const activations: string[] = [];
  const wakeRows = new Map<number, WakeRow[]>();
  const seats = Array.from({ length: nodeCount }, (_, at) => ({
    name: `n${at}`,
    seat: cluster.join(`n${at}`, ["actors"]),
  }));
  const nodes = seats.map(({ name, seat }) => {
    const definition: ActorDefinition<typeof PresenceService> = defineActor({
      service: PresenceService,
      passivateAfterMs,
      async activate(context) {
        activations.push(`${name}/${context.id}`);
        return (await behave(context, name)) as Handlers<typeof PresenceService> & Lifecycle;
      },
    });
    return createNode({
      nodeId: name,
      settings: { ...runtimeDefaults, shardCount: SHARDS, ...settings },
      clock,
      random: seededRandom(7),
      log: silentLogger,
      ...seat,
      fence: openFence,
      wake: wakeListIn(wakeRows),
      actors: [definition as unknown as ActorDefinition],
      tracer,
    });
  });
  cluster.spread();
  const made: Rig = {
    clock,
    cluster,
    nodes,
    activations,
    wakeRows,
    ask: (node, id, options) => (nodes[node] as Node).references(PresenceService)(id).ask({ askerId: 0 }, options),
    ownerOf: (id) => seats[0]?.seat.placement.ownerOf(shardOf(id, SHARDS))?.nodeId ?? "",
    async until(promise) {
      let over = false;
      promise.then(
        () => (over = true),
        () => (over = true),
      );
      for (let step = 0; !over && step < 5_000; step++) await clock.advance(5);
      return promise;
    },
  };
  rigs.push(made);
  return made;
}

/** Everybody is let in: the fence has tests of its own in storage/. */
export const openFence: ShardFence = { claim: async () => {}, verify: async () => {}, lose() {}, onLost() {} };

export function wakeListIn(rows: Map<number, WakeRow[]>): WakeList {
  const of = (shard: number) => rows.get(shard) ?? [];
  const same = (a: WakeRow, b: WakeRow) => a.epoch === b.epoch && a.slot === b.slot && a.actor === b.actor;
  return {
    async register({ shard, epoch }: Tenure, slot, actor) {
      rows.set(shard, [...of(shard), { epoch, slot, actor }]);
    },
    list: async (shard) => of(shard),
    async remove(shard, gone) {
      rows.set(
        shard,
        of(shard).filter((row) => !gone.some((other) => same(row, other))),
      );
    },
  };
}

export const reply = (userId: number): PresenceReply => ({ presence: { userId, state: 0, lastActiveAtMs: 0 } });
export const value = (answer: PresenceReply) => answer.presence?.userId;
type LaneCount = keyof ReturnType<Node["stats"]>["mail"]["lanes"][number];
export const inLanes = (node: Node | undefined, field: LaneCount) =>
  node?.stats().mail.lanes.map((l) => l[field]) ?? [];
export const notice = (sessionId: number): ReportNotice => ({ gateway: "", sessionId, state: 0, lastBeatAgoMs: 0 });
export const names = Array.from({ length: 30 }, (_, at) => String(at));
