import { afterEach, beforeEach, expect, it } from "vitest";
import type { UserService } from "../../proto/index.ts";
import { type ActorContext, createVirtualClock, type References } from "../../runtime/index.ts";
import type { ChannelLogStore } from "../../storage/index.ts";
import { createWorld, refsOf, text, type World, within } from "../harness.ts";
import { chatDefaults } from "../settings.ts";
import { FanOut } from "./fan-out.ts";

let world: World;
beforeEach(async () => {
  world = await createWorld(["a"]);
});
afterEach(() => world.close());

const ask = <T>(promise: Promise<T>) => within(world.clock, promise);
const post = (channelId: string, userId: number, number: number) =>
  refsOf(world.at)
    .channel(channelId)
    .post({ userId, producer: 100 + userId, number, content: text(`m${number}`) });

it("(F4) entries leave at once after a silence, and once in a while when the channel is busy, in order and all together", async () => {
  await ask(post("d1.2", 1, 1));
  const bob = await world.attach(2, 20);
  await world.clock.advance(1_000);
  const posted = [2, 3, 4, 5].map((number) => post("d1.2", 1, number));
  await world.clock.advance(10);
  posted.push(post("d1.2", 1, 6));
  await world.clock.advance(10);
  await Promise.all(posted); // an ack does not wait for it
  const ids = () => bob.pushed.map(({ entries }) => entries.map(({ messageId }) => messageId));
  expect(ids().flat()).toEqual([2, 3, 4, 5].slice(0, ids().flat().length));
  expect(ids()).not.toEqual([]);
  expect(ids().flat()).not.toContain(6);
  await world.clock.advance(50);
  expect(ids().flat()).toEqual([2, 3, 4, 5, 6]);
  expect(ids().length).toBeLessThanOrEqual(2);
});

it("(F5) all who sent what settled together are answered before any of it is handed over", async () => {
  const pairs = ["d1.2", "d3.4", "d5.6"].map((channelId, at) => ({ channelId, sender: 2 * at + 1, other: 2 * at + 2 }));
  for (const { channelId, sender } of pairs) await ask(post(channelId, sender, 1));
  const devices = await Promise.all(pairs.map(({ other }) => world.attach(other, 10 * other)));
  await world.clock.advance(1_000);
  const pushed = () => devices.reduce((sum, device) => sum + device.pushed.length, 0);
  const before = pushed();
  const pushedAtAcks: number[] = [];
  const acked = pairs.map(async ({ channelId, sender }) => {
    await post(channelId, sender, 2);
    pushedAtAcks.push(pushed() - before);
  });
  await ask(Promise.all(acked));
  expect(pushedAtAcks).toEqual([0, 0, 0]);
  await world.clock.advance(10);
  expect(pushed() - before).toBe(3);
});

it("what has not left when the tenure ends does not leave any more: it is for the next owner (F3)", async () => {
  const clock = createVirtualClock();
  const handed: number[] = [];
  const many = () => ({ deliver: ({ lastId }: { lastId: number }) => void handed.push(lastId) });
  const make = () =>
    new FanOut(0, {
      channelId: "d1.2",
      context: { clock, after: clock.after } as unknown as ActorContext,
      users: Object.assign(() => many(), { many }) as unknown as References<typeof UserService>,
      logs: {} as ChannelLogStore,
      settings: chatDefaults,
      onSent() {},
      onProgress() {},
    });
  const push = (fanOut: FanOut) => {
    const audience = fanOut.book.of([1, 2]);
    const entry = { id: 1, author: 1, ordinal: 1, counts: true, record: new Uint8Array(8), audience };
    fanOut.push({ ...entry, removed: [], added: undefined, traceparent: "" });
    fanOut.release(1);
  };
  const stopped = make();
  push(stopped);
  stopped.stop();
  await clock.settle();
  expect([handed, stopped.complete]).toEqual([[], false]);
  const other = make();
  push(other);
  await clock.settle();
  expect(handed).toEqual([1]);
  other.stop();
});
