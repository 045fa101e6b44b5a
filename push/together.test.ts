// The whole way, as a node puts it together: user actors, the queue of one node, the worker, and the provider that writes to a
// log.

import { expect, it } from "vitest";
import { createWorld, refsOf, text, within } from "../actors/harness.ts";
import { UserService } from "../proto/index.ts";
import { seededRandom, silentLogger } from "../runtime/index.ts";
import { createMemoryStores } from "../storage/index.ts";
import {
  createLogProvider,
  logRegistration,
  openLocalPushQueue,
  type PushQueue,
  pushDefaults,
  startPushWorker,
} from "./index.ts";

it("who is away is told in the log, once a channel and burst; what was read meanwhile is not, and what was told and read is cleared", async () => {
  const settings = pushDefaults;
  const queues: PushQueue[] = [];
  const world = await createWorld(["a", "b"], {}, { enqueue: async (job) => queues[0]?.enqueue(job) });
  const { clock } = world;
  const store = createMemoryStores({ clock }).jobs;
  const queue = await openLocalPushQueue({ store, clock, settings, log: silentLogger });
  queues.push(queue);
  const lines: unknown[] = [];
  const log = { ...silentLogger, info: (facts: object, sentence: string) => void lines.push({ ...facts, sentence }) };
  const worker = startPushWorker({
    queue,
    users: world.at.references(UserService),
    provider: createLogProvider(log),
    registrationsOf: async () => [logRegistration],
    removeRegistration: async () => {},
    settings,
    clock,
    random: seededRandom(1),
    log: silentLogger,
  });
  const { channel, user } = refsOf(world.at);
  const say = (to: number, number: number) =>
    within(clock, channel(`d1.${to}`).post({ userId: 1, producer: 1, number, content: text("never in the log") }));

  for (const number of [1, 2, 3]) await say(2, number);
  await clock.advance(5_000);
  const about = { deviceId: 0, userId: 2, channelId: "d1.2", messageId: 3 };
  expect(lines).toEqual([{ ...about, author: 1, unread: 3, sentence: "push: something is unread" }]);

  await within(clock, user("2").read({ channelId: "d1.2", readId: 3, ordinal: 3 }));
  await clock.advance(5_000);
  expect(lines.slice(1)).toEqual([{ ...about, author: 0, unread: 0, sentence: "push: read elsewhere" }]);

  await say(3, 1);
  await within(
    clock,
    user("3")
      .read({ channelId: "d1.3", readId: 1, ordinal: 1 })
      .catch(() => ({})),
  );
  await clock.advance(5_000);
  expect(lines.slice(2)).toEqual([]);

  await within(clock, worker.close());
  await queue.close();
  await world.close();
});
