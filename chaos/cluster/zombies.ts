// Owners that sleep with appends on their way, and wake when others own their shards. A proxy between each node and the ring holds
// what is sent, so that an append is in flight for certain and lands when the test wants it to: after the successor has written.

import { setTimeout as pause } from "node:timers/promises";
import { types } from "cassandra-driver";
import { type Random, randomBelow, seededRandom } from "../../runtime/index.ts";
import { type Faults, findFaults } from "./final.ts";
import { createPoster, type Poster, served, startPosting } from "./poster.ts";
import { openRingProxy, type RingProxy } from "./proxy.ts";
import type { Scenario, World } from "./scenario.ts";
import { type Seat, takeSeat } from "./seat.ts";

const ACTORS = 5;
/** Channels, each in a shard of its own. */
const CHANNELS = 40;
/** Shards that are taken from a sleeper in one round: with an append in flight for certain, and as they happen to be. */
const IN_FLIGHT_A_ROUND = 6;
const AS_THEY_ARE_A_ROUND = 3;
/** Rounds go on until so much was seen. */
const ENOUGH = { takeovers: 200, pauses: 40, takeoversOfThree: 50 };
const ROUNDS_MAX = 90;
const THREE_OWNERS_SHARE = 0.5;
/** While these rounds run, one member of the ring is down; its hints come late. */
const MEMBER_DOWN = { from: 8, to: 14, member: 2 };
const SEED = 20_261_125;
const IN_FLIGHT_WITHIN_MS = 5_000;
const SERVED_WITHIN_MS = 20_000;

export const zombies: Scenario = {
  name: "owners sleep with appends in flight, and wake when others own their shards",
  withinMs: 600_000,
  async run(world) {
    const stage = await setStage(world);
    const { posters, seat, say } = stage;
    const posting = startPosting(posters);
    try {
      await served(posters, SERVED_WITHIN_MS);
      const random = seededRandom(SEED);
      say(`seed ${SEED}; ${ACTORS} actor nodes, ${CHANNELS} channels, each in a shard of its own`);
      for (let round = 0; round < ROUNDS_MAX && !enough(stage.counts); round++) {
        const member = world.services.cassandra[MEMBER_DOWN.member];
        if (round === MEMBER_DOWN.from) await member?.kill();
        await stage.round(random.next() < THREE_OWNERS_SHARE ? 3 : 2, random);
        if (round === MEMBER_DOWN.to) await member?.start();
        if (round % 5 === 4) say(stage.tally(`after ${round + 1} rounds`));
      }
      await served(posters, SERVED_WITHIN_MS);
    } catch (error) {
      const { table } = await seat.state();
      for (const poster of posters) poster.stop();
      for (const { channelId, shard, open } of posters) {
        if (open.size > 0)
          say(`${channelId} in ${shard}: here ${seat.ownerOf(shard)}, Consul ${table?.owners[shard]?.nodeId}`);
      }
      say(seat.view());
      throw error;
    }
    await posting.stop();
    const { takeovers, pauses, takeoversOfThree } = stage.counts;
    const { fact } = world;
    fact(
      takeovers >= ENOUGH.takeovers,
      `${takeovers} takeovers from an owner that slept with an append in flight and unsettled`,
    );
    fact(pauses >= ENOUGH.pauses, `${pauses} separate pauses`);
    fact(takeoversOfThree >= ENOUGH.takeoversOfThree, `${takeoversOfThree} takeovers with three owners overlapping`);
    const contact = stage.contactPoints;
    for (const [name, level] of [
      ["QUORUM", types.consistencies.quorum],
      ["ALL", types.consistencies.all],
    ] as const) {
      const found = await findFaults(contact, stage.keyspace, posters, level);
      tell(world, found, name);
    }
    fact(posting.late() === 0, `each call ended within its deadline: ${posting.acked()} ok, ${posting.outcomes()}`);
    await seat.close();
    await stage.close();
  },
};

function tell({ fact }: World, { rows, lost, holes, twice, outOfOrder, epochsFall }: Faults, level: string): void {
  fact(lost === 0, `I1 at ${level}: ${lost} acknowledged posts lost, of ${rows} rows`);
  fact(holes === 0, `I3 at ${level}: ${holes} holes`);
  fact(twice === 0, `I5 at ${level}: ${twice} twice`);
  fact(outOfOrder === 0, `I4 at ${level}: ${outOfOrder} out of order`);
  fact(epochsFall === 0, `I7 at ${level}: ${epochsFall} rows of an older epoch above a newer one`);
}

function enough(counts: Stage["counts"]): boolean {
  return (Object.keys(ENOUGH) as (keyof typeof ENOUGH)[]).every((what) => counts[what] >= ENOUGH[what]);
}

interface Stage {
  readonly posters: readonly Poster[];
  readonly seat: Seat;
  readonly keyspace: string;
  readonly contactPoints: string;
  readonly counts: { takeovers: number; pauses: number; takeoversOfThree: number };
  say(line: string): void;
  round(owners: number, random: Random): Promise<void>;
  tally(when: string): string;
  close(): Promise<void>;
}

async function setStage(world: World): Promise<Stage> {
  const contactPoints = world.services.environment.CQL_CONTACT_POINTS ?? "";
  const cluster = await world.cluster({ actors: 0, apis: 0 });
  const proxies = new Map<string, RingProxy>();
  const names = Array.from({ length: ACTORS }, (_, at) => `actors-${at + 1}`);
  await Promise.all(
    names.map(async (name) => {
      const proxy = await openRingProxy(contactPoints);
      proxies.set(name, proxy);
      await cluster.start(name, "actors", proxy.settings);
    }),
  );
  const seat = await takeSeat({ ...cluster.settings });
  const people = await seat.people(CHANNELS * 4);
  const posters: Poster[] = [];
  const taken = new Set<number>();
  for (let at = 0; posters.length < CHANNELS; at += 2) {
    const poster = createPoster(seat, people[at] as number, people[at + 1] as number, 10);
    if (taken.has(poster.shard)) continue;
    taken.add(poster.shard);
    posters.push(poster);
  }
  const counts = { takeovers: 0, pauses: 0, takeoversOfThree: 0 };

  /** Stops the owner of these shards, when each has an append that the proxy holds; gives those that have. */
  const putToSleep = async (name: string, of: readonly Poster[]): Promise<readonly Poster[]> => {
    const proxy = proxies.get(name) as RingProxy;
    proxy.holdWhatSays(of.map(({ prefix }) => prefix));
    const inFlight = (poster: Poster) => [...poster.open].some((number) => proxy.holds(poster.text(number)));
    const untilMs = performance.now() + IN_FLIGHT_WITHIN_MS;
    while (performance.now() < untilMs && !of.every(inFlight)) await pause(10);
    proxy.holdAll();
    cluster.node(name).pause();
    counts.pauses += 1;
    return of.filter(inFlight);
  };
  const wake = async (name: string, random: Random) => {
    const proxy = proxies.get(name) as RingProxy;
    // Either what was on its way lands while its sender sleeps, or the sender wakes first and sends more behind it.
    if (random.next() < 0.5) {
      proxy.release();
      await pause(randomBelow(random, 200));
      cluster.node(name).resume();
    } else {
      cluster.node(name).resume();
      await pause(randomBelow(random, 200));
      proxy.release();
    }
  };

  return {
    posters,
    seat,
    keyspace: cluster.settings.MADANG_CQL_KEYSPACE as string,
    contactPoints,
    counts,
    say: world.say,
    async round(owners, random) {
      // Whoever has most of the shards sleeps.
      const first = largest(names, (name) => posters.filter(({ shard }) => seat.ownerOf(shard) === name).length);
      const chosen = shuffled(
        random,
        posters.filter(({ shard }) => seat.ownerOf(shard) === first),
      ).slice(0, IN_FLIGHT_A_ROUND + AS_THEY_ARE_A_ROUND);
      // Appends of the others pass until the sleeper holds still: some have landed, and nobody has verified them.
      const held = chosen.slice(0, IN_FLIGHT_A_ROUND);
      const [second = "", third = ""] = shuffled(
        random,
        names.filter((name) => name !== first),
      );
      const left = await putToSleep(first, held);
      await Promise.all(chosen.map(({ shard }) => seat.move(shard, second, true)));
      if (owners === 2) {
        await served(chosen, SERVED_WITHIN_MS);
        counts.takeovers += left.length;
      } else {
        counts.takeovers += left.length;
        await served(chosen, SERVED_WITHIN_MS);
        const leftAgain = await putToSleep(second, held);
        await Promise.all(chosen.map(({ shard }) => seat.move(shard, third, true)));
        await served(chosen, SERVED_WITHIN_MS);
        counts.takeovers += leftAgain.length;
        counts.takeoversOfThree += leftAgain.filter((poster) => left.includes(poster)).length;
        // The one who slept longest does not always wake first.
        const order = random.next() < 0.5 ? [first, second] : [second, first];
        await wake(order[0] as string, random);
        await pause(randomBelow(random, 300));
        await wake(order[1] as string, random);
        await served(chosen, SERVED_WITHIN_MS);
        return;
      }
      await wake(first, random);
      await served(chosen, SERVED_WITHIN_MS);
    },
    tally: (when) =>
      `${when}: ${counts.takeovers} takeovers, ${counts.takeoversOfThree} of them with three owners, ${counts.pauses} pauses, ` +
      `${posters.reduce((sum, { acked }) => sum + acked.length, 0)} posts acknowledged`,
    async close() {
      for (const proxy of proxies.values()) {
        proxy.release();
        await proxy.close();
      }
    },
  };
}

function shuffled<T>(random: Random, list: readonly T[]): T[] {
  const rest = [...list];
  return list.map(() => rest.splice(randomBelow(random, rest.length), 1)[0] as T);
}

function largest<T>(list: readonly T[], of: (one: T) => number): T {
  return list.reduce((best, one) => (of(one) > of(best) ? one : best));
}
