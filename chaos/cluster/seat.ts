// A seat of the test's own in the cluster: a node without actors that calls actors as a gateway does, and gives orders as an
// operator does.

import { randomBytes } from "node:crypto";
import { consulAddress } from "../../assembly/addresses.ts";
import { noFence, noWakeList } from "../../assembly/foundation.ts";
import { type ClusterConfig, resolveConfig } from "../../cluster.config.ts";
import { ChannelService, PresenceService, UserService } from "../../proto/index.ts";
import {
  type ClusterState,
  connectNats,
  createClusterPlacement,
  createConsulStore,
  createNatsControl,
  createNatsTransport,
  createNode,
  giveOrder,
  type Node,
  newMember,
  type References,
  readCluster,
  shardOf,
  silentLogger,
  subjectsOf,
  systemClock,
  systemRandom,
} from "../../runtime/index.ts";
import { type AccountStore, openPostgresAccounts } from "../../storage/accounts/index.ts";

const clock = systemClock;
const random = systemRandom;
const log = silentLogger;

const ORDER_WITHIN_MS = 30_000;
/** Nobody is waited for. */
const FORCED_WITHIN_MS = 1_500;

export interface Seat {
  readonly node: Node;
  readonly channels: References<typeof ChannelService>;
  readonly users: References<typeof UserService>;
  readonly presences: References<typeof PresenceService>;
  readonly accounts: AccountStore;
  readonly shardCount: number;
  shardOf(actorId: string): number;
  /** Name of the node that owns the shard, as this seat knows it. */
  ownerOf(shard: number): string;
  /** For a failure: what this seat knows of the cluster. */
  view(): string;
  /** What Consul says. */
  state(): Promise<ClusterState>;
  move(shard: number, to: string, force: boolean): Promise<void>;
  /** People with accounts and nothing else. */
  people(count: number): Promise<number[]>;
  close(): Promise<void>;
}

export async function takeSeat(settings: Readonly<Record<string, string>>): Promise<Seat> {
  const config: ClusterConfig = resolveConfig(settings);
  const cluster = config.cluster.name;
  const subjects = subjectsOf(cluster);
  const nodeId = `seat-${randomBytes(3).toString("hex")}#1`;
  const connect = (noEcho: boolean) => connectNats({ settings: config.nats, name: nodeId, log, noEcho });
  const nats = await connect(false);
  const control = createNatsControl({ nats: await connect(true), subjects, nodeId });
  const consul = { ...consulAddress(config), cluster, sessionTtlMs: config.placement.sessionTtlMs, clock, random, log };
  const store = createConsulStore(consul);
  const placement = createClusterPlacement({
    member: newMember(nodeId, ["gateway"]),
    shardCount: config.runtime.shardCount,
    settings: config.placement,
    clock,
    random,
    log,
    store,
    control,
  });
  const transport = createNatsTransport({ nats, subjects, nodeId, clock, routes: false });
  const node = createNode({
    nodeId,
    settings: config.runtime,
    clock,
    random,
    log,
    transport,
    membership: placement.membership,
    placement: placement.placement,
    fence: noFence,
    wake: noWakeList,
    actors: [],
  });
  await nats.flush();
  await placement.start();
  const accounts = await openPostgresAccounts({ url: config.postgres.url, clock, log, settings: config.postgres });
  const looking = createConsulStore(consul);
  const state = async () => (await readCluster(looking)) as ClusterState;

  return {
    node,
    channels: node.references(ChannelService),
    users: node.references(UserService),
    presences: node.references(PresenceService),
    accounts,
    shardCount: config.runtime.shardCount,
    shardOf: (actorId) => shardOf(actorId, config.runtime.shardCount),
    ownerOf: (shard) => placement.placement.ownerOf(shard)?.nodeId.split("#")[0] ?? "",
    view: () => JSON.stringify({ stats: placement.stats(), lead: placement.coordinator(), mail: node.stats().mail }),
    state,
    async move(shard, to, force) {
      const untilMs = performance.now() + ORDER_WITHIN_MS;
      for (;;) {
        const { coordinator, clusterId, table } = await state();
        if (table?.owners[shard]?.nodeId.split("#")[0] === to) return;
        // Orders come from somebody who is no member. A coordinator that sleeps does not answer: there will be another.
        const operator = `cli-${randomBytes(4).toString("hex")}#1`;
        const asking = createNatsControl({ nats: await connect(true), subjects, nodeId: operator });
        const order = { control: asking, clusterId, to: coordinator.nodeId, settings: config.placement, clock };
        const withinMs = force ? FORCED_WITHIN_MS : ORDER_WITHIN_MS;
        try {
          await giveOrder({ ...order, order: { move: { shard, to, force } }, withinMs });
          return;
        } catch (error) {
          if (performance.now() < untilMs) continue;
          const listed = (await state()).members.map((member) => `${member.nodeId} ${member.status}`).join(", ");
          const from = table?.owners[shard]?.nodeId;
          const message = `shard ${shard} of ${from} did not go to ${to}, by ${coordinator.nodeId}; listed: ${listed}`;
          throw new Error(message, { cause: error });
        } finally {
          await asking.close();
        }
      }
    },
    async people(count) {
      const made: number[] = [];
      while (made.length < count) {
        const userId = await accounts.nextId();
        const name = `p${userId}`;
        await accounts.createUser({ userId, name, displayName: name, passwordHash: "" });
        made.push(userId);
      }
      return made;
    },
    async close() {
      await node.close();
      await placement.close();
      looking.close();
      await nats.close();
      await accounts.close();
    },
  };
}
