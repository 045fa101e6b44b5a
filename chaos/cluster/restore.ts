// An operator restores a snapshot of Consul from before shards were moved, and Consul's server starts anew: what it says of
// epochs is older than what was written under them.

import { setTimeout as pause } from "node:timers/promises";
import { Client, types } from "cassandra-driver";
import { until } from "./chatter.ts";
import { findFaults } from "./final.ts";
import { ms } from "./nodes.ts";
import { gatherPosters, type Poster, served, startPosting } from "./poster.ts";
import type { Scenario, World } from "./scenario.ts";
import { type Seat, takeSeat } from "./seat.ts";

const ACTORS = ["actors-1", "actors-2", "actors-3"];
const POSTERS = 12;
const POST_EVERY_MS = 50;
const MOVES = 8;
const RECOVERED_WITHIN_MS = 60_000;
/** A stamp is epoch × 2^24 + n. */
const EPOCH_STEP = 2 ** 24;

interface Stage {
  readonly world: World;
  readonly seat: Seat;
  readonly posters: readonly Poster[];
  readonly ring: Client;
  /** Owners by shard and epoch, of every look at the claims: old ones are removed. */
  readonly claims: Map<string, Set<string>>;
}

export const restore: Scenario = {
  name: "a snapshot of Consul is restored, and its server starts anew",
  withinMs: 300_000,
  async run(world) {
    const cluster = await world.cluster({ actors: ACTORS.length });
    const seat = await takeSeat(cluster.settings);
    const contactPoints = cluster.settings.CQL_CONTACT_POINTS ?? "";
    const keyspace = cluster.settings.MADANG_CQL_KEYSPACE ?? "";
    const ring = new Client({
      contactPoints: contactPoints.split(","),
      localDataCenter: "datacenter1",
      keyspace,
      queryOptions: { consistency: types.consistencies.quorum, prepare: true, fetchSize: 1_000 },
    });
    const posting = startPosting(await gatherPosters(seat, POSTERS, POST_EVERY_MS));
    const { posters } = posting;
    const stage: Stage = { world, seat, posters, ring, claims: new Map() };
    try {
      await served(posters, RECOVERED_WITHIN_MS);
      await restored(stage);
      await served(posters, RECOVERED_WITHIN_MS);
      await movesWork(stage);
    } finally {
      await posting.stop();
      await ring.shutdown().catch(() => undefined);
      await seat.close();
    }
    const { lost, holes, twice, outOfOrder, epochsFall, rows } = await findFaults(
      contactPoints,
      keyspace,
      posters,
      types.consistencies.quorum,
    );
    world.fact(
      lost + holes + twice + outOfOrder + epochsFall === 0,
      `${posting.acked()} posts acknowledged, ${rows} rows: lost ${lost}, holes ${holes}, twice ${twice}, out of order ${outOfOrder}, ` +
        `rows of an older epoch above a newer one ${epochsFall}`,
    );
    world.fact(posting.late() === 0, `each call ended within its deadline; beside acks: ${posting.outcomes()}`);
  },
};

async function restored(stage: Stage): Promise<void> {
  const { world, seat, posters } = stage;
  const consul = world.services.environment.CONSUL_HTTP_ADDR ?? "";
  const saved = new Uint8Array(await (await fetch(`${consul}/v1/snapshot`)).arrayBuffer());
  const old = await epochs(seat);
  await lookAtClaims(stage);
  for (let round = 0; round < 2; round++) await moveSome(stage);
  await served(posters, RECOVERED_WITHIN_MS);
  await lookAtClaims(stage);
  const before = await epochs(seat);
  const risen = before.filter((epoch, shard) => epoch > (old[shard] ?? 0)).length;
  const writtenBefore = await lastEpochs(stage);
  const startedMs = performance.now();
  const answer = await fetch(`${consul}/v1/snapshot`, { method: "PUT", body: saved });
  world.fact(
    answer.ok && risen > 0,
    `a snapshot from before ${risen} shards had moved is restored (${saved.length} bytes)`,
  );
  await world.services.consul.kill();
  await world.services.consul.start();
  // One server is its own leader: three would elect another.
  world.say("Consul's only server was killed and started again: a new term of its leadership, not a new leader");
  const isWhole = async () => (await epochs(seat)).every((epoch, shard) => epoch >= (before[shard] ?? 0));
  const tookMs = await until(
    "the table is above all that was known",
    () => isWhole().catch(() => false),
    RECOVERED_WITHIN_MS,
  );
  world.say(
    `the table is above all that was known ${ms(tookMs)} after Consul answers, ${ms(performance.now() - startedMs)} after the restore`,
  );
  await served(posters, RECOVERED_WITHIN_MS);
  await lookAtClaims(stage);
  const after = await epochs(seat);
  const fallen = after.filter((epoch, shard) => epoch < (before[shard] ?? 0)).length;
  world.fact(fallen === 0, `no epoch of the table went back: ${fallen} of ${after.length} shards`);
  const writtenAfter = await lastEpochs(stage);
  const older = posters.filter(
    ({ channelId }) => (writtenAfter.get(channelId) ?? 0) < (writtenBefore.get(channelId) ?? 0),
  );
  world.fact(
    older.length === 0,
    `nor did that of new appends, of ${older.length} of ${posters.length} channels (by WRITETIME)`,
  );
}

async function movesWork(stage: Stage): Promise<void> {
  const { world, seat, posters } = stage;
  const before = await epochs(seat);
  const moved = await moveSome(stage);
  await served(posters, RECOVERED_WITHIN_MS);
  await lookAtClaims(stage);
  const after = await epochs(seat);
  const risen = moved.filter((shard) => (after[shard] ?? 0) > (before[shard] ?? 0)).length;
  world.fact(
    risen === moved.length,
    `${risen} of ${moved.length} shards can be moved as before, and their channels are served`,
  );
  const twice = [...stage.claims].filter(([, owners]) => owners.size > 1);
  world.fact(
    twice.length === 0 && stage.claims.size > seat.shardCount,
    `of ${stage.claims.size} claims that were seen, ${twice.length} were made by two owners at one epoch`,
  );
}

/** Shards of channels that are in use, each to another node. */
async function moveSome({ seat, posters }: Stage): Promise<number[]> {
  const shards = [...new Set(posters.map(({ shard }) => shard))].slice(0, MOVES);
  for (const shard of shards) {
    const from = seat.ownerOf(shard);
    await seat.move(shard, ACTORS[(ACTORS.indexOf(from) + 1) % ACTORS.length] as string, false);
    await pause(100); // until this seat knows it, too
  }
  return shards;
}

async function epochs(seat: Seat): Promise<number[]> {
  const { table } = await seat.state();
  return table?.owners.map(({ epoch }) => epoch) ?? [];
}

async function lookAtClaims({ ring, claims }: Stage): Promise<void> {
  const rows = ring.stream("SELECT shard, epoch, owner FROM claims", [], { autoPage: true });
  for await (const row of rows as unknown as AsyncIterable<types.Row>) {
    const key = `${row.get("shard")}@${row.get("epoch")}`;
    claims.set(key, (claims.get(key) ?? new Set()).add(String(row.get("owner"))));
  }
}

/** The epoch under which the newest row of each channel was written. */
async function lastEpochs({ ring, posters }: Stage): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const { channelId } of posters) {
    const select = "SELECT WRITETIME(record) AS written FROM messages WHERE channel_id = ? AND bucket = ? LIMIT 1";
    for (let bucket = 0; ; bucket++) {
      const { rows } = await ring.execute(select, [channelId, bucket]);
      if (rows[0] === undefined) break;
      found.set(channelId, Math.floor(Number(rows[0].get("written")) / EPOCH_STEP));
    }
  }
  return found;
}
