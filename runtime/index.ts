// The door of the virtual-actor runtime.
export {
  type ActorContext,
  type ActorDefinition,
  defineActor,
  type Handlers,
  Later,
  type Lifecycle,
  type Turn,
} from "./actor.ts";
export { type Clock, pause, systemClock, type Timer } from "./clock.ts";
export type { ConsulOptions } from "./consul/client.ts";
export { type ConsulStoreOptions, createConsulStore } from "./consul/store.ts";
export { createNatsControl } from "./control/nats.ts";
export type { Control, ControlEvents } from "./control/port.ts";
export {
  assert,
  type ErrorDetails,
  type ErrorKind,
  type Executed,
  errorList,
  MadangError,
  runtimeErrors,
  toMadangError,
} from "./errors.ts";
export { EPOCH_MAX, type ShardFence, stamp, type Tenure } from "./fence.ts";
export { createGate, type Gate } from "./gate.ts";
export { type Logger, silentLogger } from "./logger.ts";
export { type Member, type Membership, newMember, type Role } from "./membership/port.ts";
export { createMemoryCluster, type MemoryCluster, type MemoryClusterOptions, type Seat } from "./memory-cluster.ts";
export { connectNats, type Nats, type NatsSettings, natsDefaults } from "./nats/connection.ts";
export { isToken, subjectsOf } from "./nats/subjects.ts";
export { createNode, type Node, type NodeHandlers, type NodeOptions, type NodeStats } from "./node.ts";
export { type ClusterState, giveOrder, readCluster } from "./placement/admin.ts";
export { type ClusterPlacement, type CoordinatorStatus, createClusterPlacement } from "./placement/cluster.ts";
export { clusterErrors } from "./placement/errors.ts";
export type { Placement, PlacementEvents, ShardOwner } from "./placement/port.ts";
export { type PlacementSettings, placementDefaults } from "./placement/settings.ts";
export type { PlacementStats } from "./placement/stats.ts";
export type { ShardTable } from "./placement/table.ts";
export { type Random, randomBelow, seededRandom, systemRandom } from "./random.ts";
export type { CallOptions, Multicast, Reference, References } from "./reference.ts";
export { isServiceId } from "./services.ts";
export { type RuntimeSettings, runtimeDefaults } from "./settings.ts";
export { hash32, shardOf } from "./shard.ts";
export { noTracer, type Span, type Tracer } from "./tracing.ts";
export { createNatsTransport, type NatsTransport } from "./transport/nats.ts";
export type { Transport, TransportEvents } from "./transport/port.ts";
export { createVirtualClock, type VirtualClock } from "./virtual-clock.ts";
export type { WakeList, WakeRow } from "./wake.ts";
