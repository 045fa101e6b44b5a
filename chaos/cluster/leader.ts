// Three Consul servers, and an agent by which the nodes speak with them, as in a data centre. The leader of the three is killed:
// the others elect another one, and nobody has to be told. It comes back, and votes.

import { setTimeout as pause } from "node:timers/promises";
import { types } from "cassandra-driver";
import { type Services, startServices } from "../../tools/services/index.ts";
import { until } from "./chatter.ts";
import { findFaults } from "./final.ts";
import { ms } from "./nodes.ts";
import { gatherPosters, served, startPosting } from "./poster.ts";
import type { Scenario, World } from "./scenario.ts";
import { takeSeat } from "./seat.ts";

const POSTERS = 12;
const POST_EVERY_MS = 50;
/** A server that has joined gets a vote when it has been well for ten seconds. */
const VOTES_WITHIN_MS = 60_000;
const ELECTED_WITHIN_MS = 30_000;
const MOVED_WITHIN_MS = 30_000;
/** Longer than the lease of a node, and than Consul keeps a session that nobody renews. */
const AFTERWARDS_MS = 25_000;

interface Consul {
  readonly services: Services;
  readonly address: string;
  /** As the others and /v1/status/leader name it. */
  readonly raft: string;
  readonly gossip: string;
}

export const leader: Scenario = {
  name: "the leader of three Consul servers is killed",
  withinMs: 240_000,
  async run(world) {
    const started: Services[] = [];
    try {
      await withConsuls(world, started);
    } finally {
      for (const services of started.toReversed()) await services.stop();
    }
  },
};

async function withConsuls(world: World, started: Services[]): Promise<void> {
  const start = async (config: Readonly<Record<string, unknown>>): Promise<Consul> => {
    const services = await startServices({ only: ["consul"], given: {}, consulConfig: config });
    started.push(services);
    return describe(services);
  };
  const first = await start({ node_name: "consul-1" });
  const joining = { bootstrap_expect: undefined, retry_join: [first.gossip] };
  const servers = [first];
  for (const name of ["consul-2", "consul-3"]) servers.push(await start({ ...joining, node_name: name }));
  const agent = await start({ ...joining, node_name: "agent", server: false });
  const voting = await until("all three vote", async () => (await voters(agent)) === 3, VOTES_WITHIN_MS);
  world.say(`three servers vote after ${ms(voting)}`);

  const cluster = await world.cluster({ actors: 3 }, { CONSUL_HTTP_ADDR: agent.address });
  const seat = await takeSeat(cluster.settings);
  const posting = startPosting(await gatherPosters(seat, POSTERS, POST_EVERY_MS));
  const { posters } = posting;
  try {
    await served(posters, MOVED_WITHIN_MS);
    const coordinator = (await seat.state()).coordinator;
    const leaderBefore = await leaderOf(agent);
    const dying = servers.find(({ raft }) => raft === leaderBefore) as Consul;
    const ackedBefore = posting.acked();
    await dying.services.consul.kill();
    const electedMs = await until(
      "another server is the leader",
      async () => !["", leaderBefore].includes(await leaderOf(agent).catch(() => "")),
      ELECTED_WITHIN_MS,
    );
    world.fact(true, `the leader of three is killed: another one leads ${ms(electedMs)} later`);
    const shard = posters[0]?.shard as number;
    const to = ["actors-1", "actors-2", "actors-3"].find((name) => name !== seat.ownerOf(shard)) as string;
    const movedFromMs = performance.now();
    await seat.move(shard, to, false);
    world.fact(true, `a move is carried out ${ms(performance.now() - movedFromMs)} after it is asked for`);
    const movedMs = performance.now();
    await dying.services.consul.start();
    const votes = async () => (await voters(agent)) === 3 && (await leaderOf(agent)) !== "";
    const backMs = await until("all three vote again", votes, VOTES_WITHIN_MS);
    world.fact(true, `the server that was killed answers, and ${ms(backMs)} later all three vote`);
    await pause(Math.max(0, AFTERWARDS_MS - (performance.now() - movedMs)));
    await served(posters, MOVED_WITHIN_MS);
    const { members, coordinator: now } = await seat.state();
    world.fact(
      members.filter(({ roles }) => roles.includes("actors")).length === 3 && now.nodeId === coordinator.nodeId,
      `${ms(AFTERWARDS_MS)} later all three actor nodes are listed, and the coordinator is the one it was`,
    );
    world.fact(
      posting.acked() > ackedBefore,
      `traffic has gone on: ${posting.acked() - ackedBefore} posts acknowledged since`,
    );
  } finally {
    await posting.stop();
    await seat.close();
  }
  const faults = await findFaults(
    cluster.settings.CQL_CONTACT_POINTS ?? "",
    cluster.settings.MADANG_CQL_KEYSPACE ?? "",
    posters,
    types.consistencies.quorum,
  );
  const { lost, holes, twice, outOfOrder, epochsFall, rows } = faults;
  world.fact(
    lost + holes + twice + outOfOrder + epochsFall === 0,
    `${posting.acked()} posts acknowledged, ${rows} rows: lost ${lost}, holes ${holes}, twice ${twice}, out of order ` +
      `${outOfOrder}, rows of an older epoch above a newer one ${epochsFall}`,
  );
  world.fact(posting.late() === 0, `each call ended within its deadline; beside acks: ${posting.outcomes()}`);
  await cluster.stop(); // before its Consul
}

async function ask<T>(address: string, path: string): Promise<T> {
  const answer = await fetch(`${address}${path}`, { signal: AbortSignal.timeout(5_000) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return (await answer.json()) as T;
}

async function describe(services: Services): Promise<Consul> {
  const address = services.environment.CONSUL_HTTP_ADDR as string;
  const { Member } = await ask<{
    Member: { readonly Addr: string; readonly Port: number; readonly Tags: { readonly port?: string } };
  }>(address, "/v1/agent/self");
  return {
    services,
    address,
    raft: `${Member.Addr}:${Member.Tags.port ?? ""}`,
    gossip: `${Member.Addr}:${Member.Port}`,
  };
}

const leaderOf = ({ address }: Consul) => ask<string>(address, "/v1/status/leader");

async function voters({ address }: Consul): Promise<number> {
  type Configuration = { readonly Servers: readonly { readonly Voter: boolean }[] };
  const { Servers } = await ask<Configuration>(address, "/v1/operator/raft/configuration");
  return Servers.filter(({ Voter }) => Voter).length;
}
