// What a message asks of the ring, counted at the driver: requests are counts, and the same on every machine.

import { goals, type Result, resultOf, say } from "../measure.ts";
import { startMeasured } from "../processes.ts";
import type { Operations, SendOrder } from "./chat-node.ts";
import { withKeyspace } from "./ring.ts";
import type { World } from "./world.ts";

const CHANNELS = 100;
/** Of one channel, all at once: the first leaves alone, and what has gathered behind it leaves in batches of 64. */
const BURST = 64 * 8 + 1;

export async function operations({ environment, name }: World): Promise<Result[]> {
  return withKeyspace(environment.CQL_CONTACT_POINTS ?? "", name, async () => {
    const node = await startMeasured<object>("cluster/chat-node", [name], environment);
    try {
      const send = (order: SendOrder) => node.ask<Operations>(order);
      const many = { first: 0, channels: CHANNELS, each: 1 };
      await send({ ...many, cold: false }); // their first message, which makes them
      const cold = await send({ ...many, cold: true });
      const warm = await send({ ...many, cold: false });
      const burst = await send({ first: 0, channels: 1, each: BURST, cold: false });
      for (const [which, counted] of Object.entries({ cold, warm, burst })) say(`  ${which}: ${listed(counted)}`);
      return [
        row("cold 1:1 message: reads of the log and its head", of(cold, "read messages", "read head"), 2),
        row("cold 1:1 message: writes of the log", of(cold, "write messages"), 1),
        row("cold 1:1 message: verify reads", of(cold, "read revocations"), 1),
        row("cold 1:1 message: all requests to the ring", of(cold, "requests")),
        row("warm 1:1 message: writes of the log", of(warm, "write messages"), 1),
        row("warm 1:1 message: reads of the log and its head", of(warm, "read messages", "read head"), 0),
        row("warm 1:1 message: verify reads", of(warm, "read revocations"), 1),
        row("warm 1:1 message: all requests to the ring", of(warm, "requests")),
        row(`${BURST} messages at once: writes of the log a message`, of(burst, "write messages"), 1 / 50),
        row(`${BURST} messages at once: all requests to the ring a message`, of(burst, "requests")),
      ];
    } finally {
      await node.stop();
    }
  });
}

const of = (counted: Operations, ...kinds: readonly string[]) =>
  kinds.reduce((sum, kind) => sum + (counted[kind] ?? 0), 0);

const listed = (counted: Operations) =>
  Object.entries(counted)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count.toFixed(2)} ${kind}`)
    .join(", ");

function row(name: string, value: number, most?: number): Result {
  const goal = most === undefined ? {} : { goal: goals.atMost(most, "") };
  return resultOf({
    name,
    unit: "",
    values: [value],
    ...goal,
    notMeasured: "a message that comes alone: it has a verify read of its own",
  });
}
