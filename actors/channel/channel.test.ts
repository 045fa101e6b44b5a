import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Entry, HistoryDirection, MembershipChange, Role } from "../../proto/index.ts";
import { shardOf } from "../../runtime/index.ts";
import { createWorld, type Device, refsOf, text, type World, within } from "../harness.ts";

let world: World;
beforeEach(async () => {
  world = await createWorld(["a"]);
});
afterEach(() => world.close());

const ask = <T>(promise: Promise<T>) => within(world.clock, promise);
const channel = (id: string) => refsOf(world.at).channel(id);
const post = (channelId: string, userId: number, number: number, value: string, producer = 100 + userId) =>
  ask(channel(channelId).post({ userId, producer, number, content: text(value) }));
const page = async (channelId: string, userId: number, anchor = 0, direction: HistoryDirection = 0, limit = 0) => {
  const { entries } = await ask(
    channel(channelId).history({ userId, history: { channelId, anchor, direction, limit } }),
  );
  return entries.map((record) => Entry.decode(record));
};
const createGroup = (channelId: string, owner: number, memberIds: number[], historyVisible = false) =>
  ask(channel(channelId).create({ userId: owner, producer: 1, number: 1, title: "yard", memberIds, historyVisible }));
const change = (
  channelId: string,
  userId: number,
  kind: MembershipChange,
  members: number[],
  role: Role = Role.MEMBER,
) =>
  ask(
    channel(channelId).change({
      userId,
      producer: 0,
      number: 0,
      membership: {
        change: kind,
        members: members.map((id) => ({ userId: id, role })),
        title: "",
        historyVisible: false,
      },
    }),
  );

describe("sending", () => {
  it("gives dense ids from 1 in the order of arrival", async () => {
    const ids = [];
    for (const number of [1, 2, 3]) ids.push((await post("d1.2", 1, number, `m${number}`)).messageId);
    ids.push((await post("d1.2", 2, 1, "answer")).messageId);
    expect(ids).toEqual([1, 2, 3, 4]);
  });

  it("keeps a number once, however often it is sent", async () => {
    await post("d1.2", 1, 1, "once");
    await post("d1.2", 1, 2, "next");
    expect(await post("d1.2", 1, 1, "once")).toMatchObject({ messageId: 1 });
    expect((await page("d1.2", 1)).map((entry) => entry.messageId)).toEqual([1, 2]);
  });

  it("keeps a number once when it is sent again while the first is in flight", async () => {
    const request = { userId: 1, producer: 9, number: 1, content: text("twice") };
    await post("d1.2", 2, 1, "warm"); // the wake row is durable, so the next posts do not wait for it
    const both = await ask(Promise.all([channel("d1.2").post(request), channel("d1.2").post(request)]));
    expect(both.map((reply) => reply.messageId)).toEqual([2, 2]);
  });

  it("answers a number that is sent again with the time of its own entry, also after a restart", async () => {
    const first = await post("d1.2", 1, 1, "once");
    await world.clock.advance(60_000);
    await post("d1.2", 1, 2, "a minute later");
    expect(await post("d1.2", 1, 1, "once")).toEqual(first);
    await world.clock.advance(400_000); // passivated
    expect(await post("d1.2", 1, 1, "once")).toEqual(first);
  });

  it("refuses a number that was kept with another text", async () => {
    await post("d1.2", 1, 1, "one");
    await expect(post("d1.2", 1, 1, "other")).rejects.toMatchObject({ code: "NUMBER_REUSED", executed: "no" });
  });

  it("refuses a number that skips one, names the expected one, and takes nothing", async () => {
    await post("d1.2", 1, 1, "one");
    await expect(post("d1.2", 1, 3, "three")).rejects.toMatchObject({
      code: "OUT_OF_ORDER",
      detail: { expectedNumber: 2 },
    });
    expect(await post("d1.2", 1, 2, "two")).toMatchObject({ messageId: 2 });
  });

  it("says ALREADY_KEPT for a number that is older than what it remembers of the producer", async () => {
    for (let number = 1; number <= 18; number++) await post("d1.2", 1, number, `m${number}`);
    await expect(post("d1.2", 1, 1, "m1")).rejects.toMatchObject({ code: "ALREADY_KEPT", executed: "yes" });
    expect(await post("d1.2", 1, 18, "m18")).toMatchObject({ messageId: 18 });
  });

  it("forgets the producer that was silent longest when a user has too many", async () => {
    for (let producer = 1; producer <= 21; producer++) await post("d1.2", 1, 1, "hello", producer);
    await expect(post("d1.2", 1, 2, "again", 1)).rejects.toMatchObject({ detail: { expectedNumber: 1 } });
    expect(await post("d1.2", 1, 2, "again", 2)).toMatchObject({ messageId: 22 });
  });

  it.each([
    ["an empty text", "", "CONTENT_EMPTY"],
    ["100,001 characters", "x".repeat(100_001), "TEXT_TOO_LONG"],
    ["100,001 characters of two code units", "😀".repeat(100_001), "TEXT_TOO_LONG"],
    ["half of a surrogate pair", "a\ud800b", "TEXT_MALFORMED"],
  ])("refuses %s", async (_what, value, code) => {
    await expect(post("d1.2", 1, 1, value)).rejects.toMatchObject({ code, executed: "no" });
  });

  it("keeps exactly 100,000 characters, of two code units each", async () => {
    const value = "😀".repeat(100_000);
    await post("d1.2", 1, 1, value);
    expect((await page("d1.2", 2))[0]?.content?.text?.text).toBe(value);
  });

  it("refuses who is not a member, and a group that does not exist", async () => {
    await post("d1.2", 1, 1, "private");
    await expect(post("d1.2", 3, 1, "hi")).rejects.toMatchObject({ code: "NOT_A_MEMBER" });
    await expect(post("g7", 3, 1, "hi")).rejects.toMatchObject({ code: "NO_SUCH_CHANNEL" });
  });

  it("does not begin a 1:1 with somebody who does not exist", async () => {
    world.unknownUsers.add(2);
    await expect(post("d1.2", 1, 1, "hello?")).rejects.toMatchObject({ code: "NO_SUCH_USER" });
  });

  it("gives one channel to two people who write to each other at once", async () => {
    const first = channel("d1.2").post({ userId: 1, producer: 1, number: 1, content: text("from 1") });
    const second = channel("d1.2").post({ userId: 2, producer: 2, number: 1, content: text("from 2") });
    const ids = (await ask(Promise.all([first, second]))).map((reply) => reply.messageId);
    expect(ids.toSorted()).toEqual([1, 2]);
    expect((await page("d1.2", 1)).map((entry) => entry.author).toSorted()).toEqual([1, 2]);
  });

  it("never writes a time below the one before it, though the clock jumps back", async () => {
    await post("d1.2", 1, 1, "before");
    world.clock.stepWall(-3_600_000);
    await post("d1.2", 1, 2, "after");
    const [before, after] = await page("d1.2", 1);
    expect(after?.timeMs).toBeGreaterThanOrEqual(before?.timeMs ?? Number.POSITIVE_INFINITY);
  });

  it("lets only the author edit, and only who may see it react", async () => {
    await post("d1.2", 1, 1, "first");
    const say = (userId: number, number: number, content: object) =>
      ask(channel("d1.2").post({ userId, producer: 50 + userId, number, content }));
    await expect(say(2, 1, { edit: { messageId: 1, text: "mine" } })).rejects.toMatchObject({ code: "NOT_ALLOWED" });
    await expect(say(2, 1, { reaction: { messageId: 9, emoji: "👍", removed: false } })).rejects.toMatchObject({
      code: "NOT_ALLOWED",
    });
    expect(await say(1, 1, { edit: { messageId: 1, text: "better" } })).toMatchObject({ messageId: 2 });
    expect(await say(2, 1, { reaction: { messageId: 1, emoji: "👍", removed: false } })).toMatchObject({
      messageId: 3,
    });
  });
});

describe("what was deleted", () => {
  const delete_ = (userId: number, number: number, messageId: number) =>
    ask(channel("d1.2").post({ userId, producer: 100 + userId, number, content: { deletion: { messageId } } }));
  const edit = (userId: number, number: number, messageId: number) =>
    ask(
      channel("d1.2").post({ userId, producer: 100 + userId, number, content: { edit: { messageId, text: "back" } } }),
    );

  it("is not edited any more, by nobody and after no restart", async () => {
    await post("d1.2", 1, 1, "first");
    await post("d1.2", 1, 2, "second");
    await delete_(1, 3, 1);
    await expect(edit(1, 4, 1)).rejects.toMatchObject({ code: "NOT_ALLOWED", executed: "no" });
    await world.clock.advance(400_000); // passivated
    await expect(edit(1, 4, 1)).rejects.toMatchObject({ code: "NOT_ALLOWED", executed: "no" });
    expect(await edit(1, 4, 2)).toMatchObject({ messageId: 4 });
  });

  it("stays so when there is more of it than a channel remembers: what is older than that is not edited at all", async () => {
    await world.close();
    world = await createWorld(["a"], { deletionsRememberedMax: 2 });
    for (let number = 1; number <= 6; number++) await post("d1.2", 1, number, `m${number}`);
    for (const [number, messageId] of [
      [7, 3],
      [8, 4],
      [9, 2],
    ] as const)
      await delete_(1, number, messageId);
    for (const messageId of [1, 2, 3, 4])
      await expect(edit(1, 10, messageId)).rejects.toMatchObject({ code: "NOT_ALLOWED" });
    await world.clock.advance(400_000);
    for (const messageId of [2, 3, 4])
      await expect(edit(1, 10, messageId)).rejects.toMatchObject({ code: "NOT_ALLOWED" });
    expect(await edit(1, 10, 5)).toMatchObject({ messageId: 10 });
  });
});

describe("receipts", () => {
  const mark = (userId: number, readId: number) => channel("g5").receipt({ userId, deliveredId: 2, readId });
  const toldTo = ({ told }: Device) =>
    told.flatMap(({ receipts }) => (receipts ? [receipts.receipts.map((one) => [one.userId, one.readId])] : []));

  it("of a window are told together, to each member those of the others", async () => {
    await createGroup("g5", 1, [2, 3, 4]);
    const devices = await Promise.all([1, 2, 3, 4].map((userId) => world.attach(userId, userId * 10)));
    mark(2, 1);
    mark(3, 1);
    await world.clock.advance(200);
    mark(3, 2);
    mark(4, 0);
    mark(9, 2); // no member
    expect(devices.map(toldTo)).toEqual([[], [], [], []]);
    await world.clock.advance(200);
    const [two, three, four] = [
      [2, 1],
      [3, 2],
      [4, 0],
    ];
    expect(devices.map(toldTo)).toEqual([[[two, three, four]], [[three, four]], [[two, four]], [[two, three]]]);
  });

  it("of one member are told to the others and never to that one", async () => {
    await createGroup("g5", 1, [2, 3, 4]);
    const devices = await Promise.all([1, 2].map((userId) => world.attach(userId, userId * 10)));
    for (const readId of [1, 2]) {
      mark(2, readId);
      await world.clock.advance(1_000);
    }
    expect(devices.map(toldTo)).toEqual([[[[2, 1]], [[2, 2]]], []]);
  });

  it("of who was removed meanwhile are told to nobody, and nothing is told to that one", async () => {
    await createGroup("g5", 1, [2, 3, 4]);
    const devices = await Promise.all([1, 2].map((userId) => world.attach(userId, userId * 10)));
    mark(2, 1);
    mark(3, 1);
    await change("g5", 1, MembershipChange.REMOVED, [2]);
    await world.clock.advance(1_000);
    expect(devices.map(toldTo)).toEqual([[[[3, 1]]], []]);
  });

  it("that wait are told when the channel leaves its node", async () => {
    await createGroup("g5", 1, [2, 3, 4]);
    const device = await world.attach(1, 10);
    mark(2, 1);
    await world.clock.settle();
    world.addNode("b");
    await ask(world.cluster.move(shardOf("g5", 16), "b"));
    await world.clock.advance(50);
    expect(toldTo(device)).toEqual([[[2, 1]]]);
  });
});

describe("typing", () => {
  it("is told to the other of a 1:1 once there is a message, and to no stranger before", async () => {
    const other = await world.attach(2, 20);
    const typed = () => other.told.filter((frame) => frame.typing != null).length;
    channel("d1.2").typing({ userId: 1, typing: true });
    await world.clock.advance(100);
    expect(typed()).toBe(0);
    await post("d1.2", 1, 1, "hello");
    channel("d1.2").typing({ userId: 1, typing: true });
    await world.clock.advance(100);
    expect(typed()).toBe(1);
  });
});

describe("history", () => {
  beforeEach(async () => {
    for (let number = 1; number <= 10; number++) await post("d1.2", 1, number, `m${number}`);
  });
  const ids = async (anchor: number, direction: HistoryDirection, limit: number) =>
    (await page("d1.2", 2, anchor, direction, limit)).map((entry) => entry.messageId);

  it("pages before, after and around an id, always ascending", async () => {
    expect(await ids(0, HistoryDirection.BEFORE, 3)).toEqual([8, 9, 10]);
    expect(await ids(8, HistoryDirection.BEFORE, 3)).toEqual([5, 6, 7]);
    expect(await ids(2, HistoryDirection.AFTER, 3)).toEqual([3, 4, 5]);
    expect(await ids(5, HistoryDirection.AROUND, 4)).toEqual([4, 5, 6, 7]);
    expect(await ids(1, HistoryDirection.BEFORE, 3)).toEqual([]);
    expect(await ids(10, HistoryDirection.AFTER, 3)).toEqual([]);
  });
});

describe("a group", () => {
  it("is created once by one request, and refused to another of the same name", async () => {
    expect(await createGroup("g5", 1, [2, 3])).toMatchObject({ messageId: 1 });
    expect(await createGroup("g5", 1, [2, 3])).toMatchObject({ messageId: 1 });
    const other = channel("g5").create({
      userId: 4,
      producer: 8,
      number: 1,
      title: "",
      memberIds: [],
      historyVisible: false,
    });
    await expect(ask(other)).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
  });

  it("holds 100 members and no more", async () => {
    const many = Array.from({ length: 100 }, (_, at) => at + 2);
    await expect(createGroup("g5", 1, many)).rejects.toMatchObject({ code: "GROUP_FULL" });
    await createGroup("g5", 1, many.slice(0, 99));
    await expect(change("g5", 1, MembershipChange.ADDED, [500])).rejects.toMatchObject({ code: "GROUP_FULL" });
  });

  it("lets admins change members, the owner roles, and members neither", async () => {
    await createGroup("g5", 1, [2, 3]);
    await expect(change("g5", 2, MembershipChange.ADDED, [4])).rejects.toMatchObject({ code: "NOT_ALLOWED" });
    await expect(change("g5", 2, MembershipChange.ROLE, [2], Role.ADMIN)).rejects.toMatchObject({
      code: "NOT_ALLOWED",
    });
    await change("g5", 1, MembershipChange.ROLE, [2], Role.ADMIN);
    await change("g5", 2, MembershipChange.ADDED, [4]);
    await expect(change("g5", 2, MembershipChange.REMOVED, [1])).rejects.toMatchObject({ code: "NOT_ALLOWED" });
    const { members } = await ask(channel("g5").describe({ userId: 4 }));
    expect(members.map((member) => [member.userId, member.role])).toEqual([
      [1, Role.OWNER],
      [2, Role.ADMIN],
      [3, Role.MEMBER],
      [4, Role.MEMBER],
    ]);
  });

  it("passes to an admin when its owner leaves", async () => {
    await createGroup("g5", 1, [2, 3]);
    await change("g5", 1, MembershipChange.ROLE, [3], Role.ADMIN);
    await change("g5", 1, MembershipChange.LEFT, [1]);
    const { members } = await ask(channel("g5").describe({ userId: 3 }));
    expect(members.find((member) => member.userId === 3)?.role).toBe(Role.OWNER);
  });

  it("shows who joins what was sent from then on, or everything if it was created so", async () => {
    await createGroup("g5", 1, [2], false);
    await createGroup("g6", 1, [2], true);
    for (const id of ["g5", "g6"]) {
      await post(id, 1, 1, "before");
      await change(id, 1, MembershipChange.ADDED, [3]);
      await post(id, 1, 2, "after");
    }
    expect((await page("g5", 3)).map((entry) => entry.messageId)).toEqual([3, 4]);
    expect((await page("g6", 3)).map((entry) => entry.messageId)).toEqual([1, 2, 3, 4]);
  });

  it("gives a removed member nothing that was sent after the removal, neither pushed nor read nor synced", async () => {
    await createGroup("g5", 1, [2, 3]);
    const removed = await world.attach(3, 30);
    await post("g5", 1, 1, "for all");
    // In one go: the post behind the removal is decided by the tail.
    const removal = change("g5", 1, MembershipChange.REMOVED, [3]);
    const after = post("g5", 1, 2, "not for 3");
    await Promise.all([removal, after]);
    await world.clock.advance(20_000);
    expect(removed.texts("g5")).toEqual(["for all"]);
    expect(removed.pushed.at(-1)?.entries[0]?.content?.membership?.change).toBe(MembershipChange.REMOVED);
    await expect(page("g5", 3)).rejects.toMatchObject({ code: "NOT_A_MEMBER" });
    await expect(post("g5", 3, 1, "still here")).rejects.toMatchObject({ code: "NOT_A_MEMBER" });
    const { pointers } = await ask(refsOf(world.at).user("3").sync({ gateway: "a", sessionId: 0, cursor: 0 }));
    expect(pointers[0]).toMatchObject({ left: true, lastId: 3 });
    expect(pointers[0]?.newest).toHaveLength(3);
  });
});

describe("an activation", () => {
  it("knows everything that its predecessor knew", async () => {
    await createGroup("g5", 1, [2]);
    for (let number = 1; number <= 150; number++) await post("g5", 1, number, `m${number}`);
    await world.clock.advance(400_000); // passivated
    expect(world.at.stats().kinds.Channel?.activations).toBe(0);
    await expect(post("g5", 1, 152, "skips")).rejects.toMatchObject({ detail: { expectedNumber: 151 } });
    expect(await post("g5", 1, 150, "m150")).toMatchObject({ messageId: 151 });
    expect(await post("g5", 1, 151, "next")).toMatchObject({ messageId: 152 });
  });
});
