import { expect, it } from "vitest";
import type { ChannelService } from "../../proto/index.ts";
import { createVirtualClock, type References, silentLogger } from "../../runtime/index.ts";
import { type InboxOwner, InboxWriter } from "./inbox-writer.ts";
import { Dirty, newPointer, type Pointer } from "./pointer.ts";
import { PushJobs } from "./push-jobs.ts";

/** A writer on a store that answers when it is told to. */
function rig({ pushes = false } = {}) {
  const clock = createVirtualClock();
  const writes: { readonly of: readonly string[]; done(): void }[] = [];
  const confirmed: string[] = [];
  const channels = (channelId: string) => ({
    confirm: ({ userIds }: { userIds: readonly number[] }) => void confirmed.push(`${channelId} by ${userIds}`),
  });
  const writer = new InboxWriter({
    clock,
    registers: {
      read: async () => [],
      write: (rows) =>
        new Promise((done) => {
          writes.push({ of: [...new Set(rows.map(({ owner }) => owner))], done });
        }),
    },
    channels: channels as unknown as References<typeof ChannelService>,
    pointerFlushMs: 2_000,
    pushFlushMs: 500,
    watermarkFlushMs: 100,
    log: silentLogger,
    pushJobs: pushes
      ? new PushJobs({
          queue: { enqueue: async () => {} },
          clock,
          log: silentLogger,
          pushAfterMs: 10_000,
          pushWatchedMax: 100,
        })
      : undefined,
  });
  const user = (
    userId: number,
    channelId = `d${userId}.9`,
    { isAttached = false, ...more }: Partial<Pointer> & { isAttached?: boolean } = {},
  ) => {
    const context = { id: String(userId), shard: userId, verify: async () => {} };
    const owner = { userId, context, isLost: false, isAttached, receipt() {}, pushed() {} };
    const pointer: Pointer = Object.assign(newPointer(channelId), { ours: true, lastId: 1, version: 1, ...more });
    const mark = () => writer.mark(owner as unknown as InboxOwner, pointer, Dirty.POINTER);
    const leave = async (left: string[]) => {
      await writer.leave(owner as unknown as InboxOwner, [pointer]);
      left.push(`user ${userId}`);
    };
    return { pointer, mark, leave };
  };
  return { clock, writer, writes, confirmed, user };
}

it("pointers of one moment are written within a window, evenly, and those of one channel together", async () => {
  const { clock, writes, user } = rig();
  const group = Array.from({ length: 100 }, (_, at) => user(at + 1, "g1"));
  const pairs = Array.from({ length: 200 }, (_, at) => user(at + 101));
  for (const { mark } of [...group, ...pairs]) mark();
  for (let at = 0; at < 20; at++) {
    await clock.advance(100);
    for (const { done } of writes) done();
  }
  const ofGroup = writes.filter(({ of }) => of.some((userId) => Number(userId) <= 100));
  expect(ofGroup.map(({ of }) => of.filter((userId) => Number(userId) <= 100).length)).toEqual([100]);
  const sizes = writes.map(({ of }) => of.filter((userId) => Number(userId) > 100).length);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(200);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(2 * (200 / 20));
});

it("who writes without a pause has a pointer written once a window", async () => {
  const { clock, writes, user } = rig();
  const { mark } = user(1);
  for (let at = 0; at < 100; at++) {
    mark();
    await clock.advance(100);
    for (const { done } of writes) done();
    await clock.settle();
  }
  expect(writes).toHaveLength(100 / 20);
});

it("while the store is slow, what has come due meanwhile is written together", async () => {
  const { clock, writes, user } = rig();
  user(1).mark();
  await clock.advance(2_000);
  for (let at = 2; at <= 4; at++) user(at).mark();
  await clock.advance(2_000);
  expect(writes.map(({ of }) => of)).toEqual([["1"]]);
  writes[0]?.done();
  await clock.settle();
  expect(writes.map(({ of }) => of.toSorted())).toEqual([["1"], ["2", "3", "4"]]);
});

it("users that leave together have their pointers written together, at once, and not those of the others, nor behind them", async () => {
  const { clock, writer, writes, confirmed, user } = rig();
  const [ann, bob, cid, dan] = [user(1), user(2), user(3), user(4)];
  cid.mark();
  await clock.advance(2_000); // a window that the store takes long for
  expect(writes.map(({ of }) => of)).toEqual([["3"]]);
  for (const one of [ann, bob, dan]) one.mark();
  const left: string[] = [];
  const leaving = [ann.leave(left), bob.leave(left)];
  await clock.settle();
  expect(writes.map(({ of }) => of)).toEqual([["3"], ["1", "2"]]);
  writes[1]?.done();
  await Promise.all(leaving);
  expect(left).toEqual(["user 1", "user 2"]);
  expect(confirmed).toEqual(["d1.9 by 1", "d2.9 by 2"]);
  writes[0]?.done();
  await clock.advance(2_000);
  expect(writes.map(({ of }) => of)).toEqual([["3"], ["1", "2"], ["4"]]); // what has left is not written twice
  writes[2]?.done();
  await writer.flush();
});

it("a user that leaves waits for what is on its way of its own, and has nothing else to write", async () => {
  const { clock, writes, confirmed, user } = rig();
  const ann = user(1);
  ann.mark();
  await clock.advance(2_000);
  const left: string[] = [];
  const leaving = ann.leave(left);
  await clock.settle();
  expect([writes.length, left]).toEqual([1, []]);
  writes[0]?.done();
  await leaving;
  expect(confirmed).toEqual(["d1.9 by 1"]);
  expect(ann.pointer.writing).toBe(false);
});

it("what a push job waits for is written within a shorter window, also if it begins to wait later", async () => {
  const { clock, writes, user } = rig({ pushes: true });
  const owed = { owedId: 1 };
  user(1, "d1.9", { ...owed, isAttached: true }).mark();
  user(2, "d2.9", owed).mark();
  user(3, "d3.9", { pushedId: 1, readId: 1 }).mark();
  user(4, "d1.9").mark();
  const later = user(5, "d1.9"); // of one part of the long window with the first
  later.mark();
  Object.assign(later.pointer, owed);
  later.mark();
  const pass = async (parts: number) => {
    for (let part = 0; part < parts; part++) {
      await clock.advance(100);
      for (const { done } of writes) done();
      await clock.settle();
    }
  };
  await pass(5);
  expect(new Set(writes.flatMap(({ of }) => of))).toEqual(new Set(["2", "3", "5"]));
  await pass(20);
  expect(new Set(writes.flatMap(({ of }) => of))).toEqual(new Set(["1", "2", "3", "4", "5"]));
});
