// Idle authenticated sessions, with their user and presence actors: the slope of anonymous memory between two counts, after
// garbage collection, beside sockets of bare uWebSockets.js.

import { Bare, bareMessage } from "./bare-client.ts";
import { goals, pause, type Result, resultOf, say } from "./measure.ts";
import { type Measured, startMeasured } from "./processes.ts";
import { openSockets, type RawSocket } from "./sockets.ts";
import { startWorld } from "./world.ts";

const FEW = 5_000;
const MANY = 15_000;
const GROUP_PEOPLE = 100;
/** By default an idle actor lets go of what can be read again after 20 s, and the journal sinks after 30 s. */
const SETTLE_MS = 40_000;

export async function idle(): Promise<Result[]> {
  const bare = await slopeOfBare();
  const few = await slopeOfMadang(2, 0);
  const many = await slopeOfMadang(20, 50);
  const baseline = { name: "bare uWebSockets.js socket", values: [bare.user] };
  const notMeasured = "kernel memory of the socket; channels in memory (they are asleep)";
  const measurement = (name: string, { user, heap }: Slope, limit: number) => [
    // Free pages from before the first count may hide growth of the heap: then the heap says more.
    resultOf({
      name,
      unit: "B",
      values: [Math.max(user, heap)],
      baseline,
      goal: goals.atMost(limit, "B"),
      notMeasured,
    }),
    resultOf({ name: `${name}, of it in the JavaScript heap`, unit: "B", values: [heap] }),
  ];
  return [
    ...measurement("idle session with 2 channels: user memory", few, 5 * 1_024),
    ...measurement("idle session with 20 channels and 50 friends: user memory", many, 8 * 1_024),
  ];
}

interface Slope {
  readonly user: number;
  readonly heap: number;
}

async function slope(
  server: Measured<unknown>,
  connect: (from: number, count: number) => Promise<RawSocket[]>,
): Promise<Slope> {
  const sockets = await connect(0, FEW);
  await pause(SETTLE_MS);
  const before = await server.memory();
  sockets.push(...(await connect(FEW, MANY - FEW)));
  await pause(SETTLE_MS);
  const after = await server.memory();
  for (const socket of sockets) socket.close();
  const each = (a: number, b: number) => (b - a) / (MANY - FEW);
  return { user: each(before.userBytes, after.userBytes), heap: each(before.heapBytes, after.heapBytes) };
}

async function slopeOfBare(): Promise<Slope> {
  const server = await startMeasured<{ port: number }>("bare");
  const result = await slope(server, async (from, count) => {
    const sockets = await openSockets(server.ready.port, count, from);
    for (const [at, socket] of sockets.entries()) socket.send(bareMessage(Bare.HERE, from + at, new Uint8Array(0)));
    return sockets;
  });
  await server.stop();
  return result;
}

async function slopeOfMadang(channels: number, friends: number): Promise<Slope> {
  const startedMs = performance.now();
  const world = await startWorld(MANY, friends);
  for (let round = 0; round < channels; round++) {
    for (let first = 0; first < MANY; first += GROUP_PEOPLE) {
      // Each round mixes others: in round r every (r + 1)-th person, counted round.
      const members = Array.from({ length: GROUP_PEOPLE }, (_, at) => (((first + at) * (2 * round + 1)) % MANY) + 1);
      const [owner = 1, ...others] = [...new Set(members)];
      await world.createGroup(owner, others);
    }
  }
  say(`  ${channels} channels for each of ${MANY} people: ${Math.round((performance.now() - startedMs) / 1_000)} s`);
  await world.restart(); // what making them left in memory is not what idle sessions cost
  const result = await slope(world.node, (from, count) =>
    world.connect(
      Array.from({ length: count }, (_, at) => from + at + 1),
      friends > 0,
    ),
  );
  await world.close();
  return result;
}
