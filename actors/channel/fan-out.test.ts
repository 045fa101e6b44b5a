import { afterEach, beforeEach, expect, it } from "vitest";
import { type DeliverNotice, Entry, type UserService } from "../../proto/index.ts";
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

/** A fan-out of d1.2 by itself, to users who do with a delivery what `deliver` does. */
function alone(deliver: (userIds: readonly number[], notice: DeliverNotice) => void) {
  const clock = createVirtualClock();
  const reads: number[][] = [];
  const said = { author: 1, producer: 101, timeMs: 0, settled: 0, content: text("hello") };
  const record = (id: number) => Entry.encode({ ...said, messageId: id, number: id, ordinal: id }).finish();
  const fanOut = new FanOut(0, {
    channelId: "d1.2",
    context: { clock, after: clock.after } as unknown as ActorContext,
    users: Object.assign((key: string) => to([key]), { many: to }) as unknown as References<typeof UserService>,
    logs: {
      async read(_: string, { from, to }: { from: number; to: number }) {
        reads.push([from, to]);
        return Array.from({ length: to - from + 1 }, (_, at) => ({ id: to - at, record: record(to - at) }));
      },
    } as unknown as ChannelLogStore,
    settings: chatDefaults,
    onSent() {},
    onProgress() {},
  });
  function to(keys: readonly string[]) {
    return { deliver: (notice: DeliverNotice) => deliver(keys.map(Number), notice) };
  }
  const audience = fanOut.book.of([1, 2]);
  const say = (id: number) => {
    const entry = { id, author: 1, ordinal: id, counts: true, record: record(id), audience };
    fanOut.push({ ...entry, removed: [], added: undefined, traceparent: "" });
    fanOut.release(id);
  };
  return { clock, fanOut, reads, say };
}

it("what is confirmed in time is delivered once and not read again, however long the channel is busy (F3)", async () => {
  const told: number[] = [];
  const { clock, fanOut, reads, say } = alone((userIds, { lastId }) => {
    told.push(lastId);
    clock.after(chatDefaults.pointerFlushMs, () =>
      fanOut.confirm(
        userIds,
        userIds.map(() => lastId),
      ),
    );
  });
  for (let id = 1; id <= 60; id++) {
    say(id);
    await clock.advance(1_000);
  }
  expect(told).toEqual(Array.from({ length: 60 }, (_, at) => at + 1));
  expect(reads).toEqual([]);
  fanOut.stop();
});

it("who has not confirmed is told again, alone and of what is lacking, also while the channel is busy (F3)", async () => {
  const toldAgain: [userIds: readonly number[], firstId: number][] = [];
  const { clock, fanOut, reads, say } = alone((userIds, { firstId, lastId }) => {
    if (!userIds.includes(1)) toldAgain.push([userIds, firstId]);
    const confirmed = userIds.filter((userId) => userId === 1 || lastId <= 5);
    // Later than the next entry comes: something is always on its way.
    clock.after(1_500, () =>
      fanOut.confirm(
        confirmed,
        confirmed.map(() => lastId),
      ),
    );
  });
  let id = 0;
  while (toldAgain.length === 0 && id < 100) {
    id += 1;
    say(id);
    await clock.advance(1_000);
  }
  expect(toldAgain).toEqual([[[2], 6]]);
  expect(reads).toEqual([[6, id]]);
  expect((id - 6) * 1_000).toBeLessThanOrEqual(2 * chatDefaults.redeliverAfterMs);
  fanOut.stop();
});

it("what has not left when the tenure ends does not leave any more: it is for the next owner (F3)", async () => {
  const handed: number[] = [];
  const [stopped, other] = [1, 2].map(() => alone((_, { lastId }) => void handed.push(lastId)));
  stopped?.say(1);
  stopped?.fanOut.stop();
  await stopped?.clock.settle();
  expect([handed, stopped?.fanOut.complete]).toEqual([[], false]);
  other?.say(1);
  await other?.clock.settle();
  expect(handed).toEqual([1]);
  other?.fanOut.stop();
});
