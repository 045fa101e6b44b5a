import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Entry, GoAwayReason, HistoryDirection } from "../../proto/index.ts";
import { shardOf } from "../../runtime/index.ts";
import { createWorld, refsOf, text, type World, within } from "../harness.ts";

let world: World;
beforeEach(async () => {
  world = await createWorld(["a", "b", "c"]);
});
afterEach(() => world.close());

const ask = <T>(promise: Promise<T>) => within(world.clock, promise);
const post = (channelId: string, userId: number, number: number, value: string) =>
  ask(
    refsOf(world.at)
      .channel(channelId)
      .post({ userId, producer: 100 + userId, number, content: text(value) }),
  );
const sync = (userId: number, cursor = 0) =>
  ask(refsOf(world.at).user(String(userId)).sync({ gateway: "a", sessionId: 0, cursor }));

describe("a delivery", () => {
  it("reaches every device of both people, the sender's others too, wherever the actors live", async () => {
    const devices = await Promise.all([world.attach(1, 10), world.attach(1, 11), world.attach(2, 20)]);
    await post("d1.2", 1, 1, "안녕");
    await world.clock.advance(100);
    for (const device of devices) expect(device.texts("d1.2")).toEqual(["안녕"]);
  });

  it("says the version before its own, so that a device that missed one knows", async () => {
    const device = await world.attach(2, 20);
    for (const number of [1, 2, 3]) await post("d1.2", 1, number, `m${number}`);
    await post("d2.3", 3, 1, "from another channel");
    await world.clock.advance(100);
    const chain = device.pushed.map(({ prev, version }) => [prev, version] as const);
    expect(chain.length).toBeGreaterThanOrEqual(2);
    for (let at = 1; at < chain.length; at++) expect(chain[at]?.[0]).toBe(chain[at - 1]?.[1]);
  });

  it("marks as read what the user wrote", async () => {
    await post("d1.2", 1, 1, "mine");
    await post("d1.2", 2, 1, "answer");
    await world.clock.advance(1_000);
    const [pointer] = (await sync(1)).pointers;
    expect(pointer).toMatchObject({ lastId: 2, ordinal: 2, readId: 1, readOrdinal: 1 });
  });
});

describe("a user with an idle session", () => {
  it("lets go of its pointers, and goes on as if it had not", async () => {
    const device = await world.attach(2, 20);
    for (const number of [1, 2]) await post("d1.2", 1, number, `m${number}`);
    await post("d2.3", 3, 1, "from another channel");
    await world.clock.advance(1_000);
    const stands = async (channelId: string) => {
      const { pointers } = await sync(2);
      const pointer = pointers.find((other) => other.channelId === channelId);
      return pointer && [pointer.version, pointer.lastId, pointer.ordinal, pointer.readId, pointer.visibleFrom];
    };
    const before = await stands("d2.3");
    world.inboxReads.length = 0;
    await world.clock.advance(40_000);
    await post("d1.2", 1, 3, "m3");
    await world.clock.advance(100);
    expect(world.inboxReads).toContain("2");
    const chain = device.pushed.map(({ prev, version }) => [prev, version] as const);
    for (let at = 1; at < chain.length; at++) expect(chain[at]?.[0]).toBe(chain[at - 1]?.[1]);
    expect(device.texts("d1.2")).toEqual(["m1", "m2", "m3"]);
    expect(await stands("d2.3")).toEqual(before);
    await world.clock.advance(40_000);
    expect((await sync(2)).pointers.map(({ channelId, lastId }) => [channelId, lastId])).toEqual([
      ["d2.3", 1],
      ["d1.2", 3],
    ]);
  });
});

describe("sync", () => {
  it("gives the channels above the cursor with their newest messages, and where the device stands then", async () => {
    for (let number = 1; number <= 30; number++) await post("d1.2", 1, number, `m${number}`);
    await world.clock.advance(1_000);
    const first = await sync(2);
    expect(first.pointers[0]).toMatchObject({ channelId: "d1.2", lastId: 30 });
    expect(first.pointers[0]?.newest).toHaveLength(20);
    expect((await sync(2, first.cursor)).pointers).toEqual([]);
    await post("d2.3", 3, 1, "new");
    await world.clock.advance(1_000);
    expect((await sync(2, first.cursor)).pointers.map((pointer) => pointer.channelId)).toEqual(["d2.3"]);
  });

  it("starts over when the cursor is above what the server knows", async () => {
    await post("d1.2", 1, 1, "hello");
    await world.clock.advance(1_000);
    const reply = await sync(2, 2 ** 50);
    expect(reply.fullSync).toBe(true);
    expect(reply.pointers).toHaveLength(1);
  });

  it("comes in pages when there are many channels, and misses none", async () => {
    await world.close();
    world = await createWorld(["a"], { syncPointersMax: 3 });
    for (let peer = 2; peer <= 9; peer++) await post(`d1.${peer}`, peer, 1, "hi");
    await world.clock.advance(1_000);
    const seen: string[] = [];
    let cursor = 0;
    for (let pages = 0; pages < 10; pages++) {
      const reply = await sync(1, cursor);
      seen.push(...reply.pointers.map((pointer) => pointer.channelId));
      cursor = reply.cursor;
      if (!reply.more) break;
    }
    expect(seen.toSorted()).toEqual(Array.from({ length: 8 }, (_, at) => `d1.${at + 2}`).toSorted());
  });
});

describe("sessions", () => {
  it("refuse a ticket that was used before", async () => {
    await world.attach(1, 10, { ticketId: "t1" });
    await expect(world.attach(1, 11, { ticketId: "t1" })).rejects.toMatchObject({ code: "TICKET_USED" });
  });

  it("are one a device: a new one replaces the old", async () => {
    const old = await world.attach(1, 10);
    await world.attach(1, 10);
    expect(old.closed).toEqual([GoAwayReason.REPLACED]);
  });

  it("are so many: the newest device gets in, and the one that was attached longest ago leaves", async () => {
    await world.close();
    world = await createWorld(["a", "b"], { sessionsAUserMax: 3 });
    const devices = [];
    for (const deviceId of [10, 11, 12]) devices.push(await world.attach(1, deviceId));
    devices.push(await world.attach(1, 10)); // attached anew: 11 is the oldest now
    expect(devices.map(({ closed }) => closed)).toEqual([[GoAwayReason.REPLACED], [], [], []]);
    devices.push(await world.attach(1, 13));
    expect(devices.map(({ closed }) => closed)).toEqual([[GoAwayReason.REPLACED], [GoAwayReason.REPLACED], [], [], []]);
    await post("d1.2", 2, 1, "to three of them");
    await world.clock.advance(100);
    expect(devices.map((device) => device.texts("d1.2").length)).toEqual([0, 0, 1, 1, 1]);
  });

  it("count by the user, and make room when they end", async () => {
    await world.close();
    world = await createWorld(["a"], { sessionsAUserMax: 1 });
    const first = await world.attach(1, 10);
    const other = await world.attach(2, 20);
    refsOf(world.at).user("1").detach({ gateway: "a", sessionId: first.sessionId });
    const second = await world.attach(1, 11);
    expect([first, other, second].map(({ closed }) => closed)).toEqual([[], [], []]);
  });

  it("are not removed by a late detach of an older one", async () => {
    const old = await world.attach(1, 10);
    const now = await world.attach(1, 10);
    refsOf(world.at).user("1").detach({ gateway: "a", sessionId: old.sessionId });
    await post("d1.2", 2, 1, "still there?");
    await world.clock.advance(100);
    expect(now.texts("d1.2")).toEqual(["still there?"]);
  });

  it("end together when their log-in ends, and others stay", async () => {
    const ended = await world.attach(1, 10, { login: "phone" });
    const stays = await world.attach(1, 11, { login: "laptop" });
    await ask(refsOf(world.at).user("1").endSession({ loginId: "phone" }));
    expect(ended.closed).toEqual([GoAwayReason.SESSION_ENDED]);
    expect(stays.closed).toEqual([]);
  });

  it("of a log-in that has ended do not attach, with a ticket from before or anew", async () => {
    await ask(refsOf(world.at).user("1").endSession({ loginId: "phone" }));
    const late = world.attach(1, 10, { login: "phone", ticketId: "fetched before" });
    await expect(late).rejects.toMatchObject({ code: "UNAUTHENTICATED", executed: "no" });
    await expect(world.attach(1, 10, { login: "phone" })).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await post("d1.2", 2, 1, "not for the phone");
    expect((await world.attach(1, 10, { login: "laptop" })).closed).toEqual([]);
  });
});

describe("watermarks", () => {
  const read = (userId: number, readId: number) =>
    ask(refsOf(world.at).user(String(userId)).read({ channelId: "d1.2", readId, ordinal: readId }));

  it("of what was read on one device are in the sync of another that was away, also after a restart", async () => {
    const here = await world.attach(2, 20);
    await post("d1.2", 1, 1, "read me");
    const { cursor } = await sync(2); // the other device had everything, and went away
    await read(2, 1);
    expect((await sync(2, cursor)).pointers).toMatchObject([{ channelId: "d1.2", readId: 1, readOrdinal: 1 }]);
    refsOf(world.at).user("2").detach({ gateway: "a", sessionId: here.sessionId });
    await world.clock.advance(200_000); // passivated
    expect((await sync(2, cursor)).pointers).toMatchObject([{ channelId: "d1.2", readId: 1, readOrdinal: 1 }]);
  });

  it("of what was read are changes like others: each attached device sees them, without a gap", async () => {
    const devices = await Promise.all([world.attach(2, 20), world.attach(2, 21)]);
    for (const id of [1, 2]) {
      await post("d1.2", 1, id, `m${id}`);
      await read(2, id);
      await read(2, id); // changes nothing
    }
    await world.clock.advance(1_000);
    for (const { pushed } of devices) {
      expect(pushed.map(({ entries, readId }) => [entries[0]?.messageId, readId])).toEqual([
        [1, 0],
        [undefined, 1],
        [2, 0],
        [undefined, 2],
      ]);
      for (let at = 1; at < pushed.length; at++) expect(pushed[at]?.prev).toBe(pushed[at - 1]?.version);
    }
    expect((await sync(2, devices[0]?.pushed.at(-1)?.version)).pointers).toEqual([]);
  });

  it("of what was read reach the other person", async () => {
    const reader = await world.attach(2, 20);
    const sender = await world.attach(1, 10);
    await post("d1.2", 1, 1, "read me");
    await read(2, 1);
    await world.clock.advance(2_000);
    const reads = (told: typeof sender.told) =>
      told.flatMap(({ receipts }) => receipts?.receipts.map((one) => one.readId) ?? []);
    expect(reads(sender.told)).toContain(1);
    expect(reads(reader.told)).toEqual([]);
  });

  it("only rise, and outlive the actor", async () => {
    await post("d1.2", 1, 1, "a");
    await post("d1.2", 1, 2, "b");
    await world.clock.advance(1_000);
    await read(2, 2);
    await read(2, 1);
    refsOf(world.at).user("2").acknowledge({ deviceId: 20, channelId: "d1.2", deliveredId: 2 });
    await world.clock.advance(200_000); // passivated
    const [pointer] = (await sync(2)).pointers;
    expect(pointer).toMatchObject({ readId: 2, readOrdinal: 2, deliveredId: 2 });
  });
});

describe("when nodes come and go", () => {
  it("a killed node's channels finish their fan-out elsewhere without anybody asking", async () => {
    const channelId = "d1.2";
    const owner = world.ownerOf(channelId);
    await post(channelId, 1, 1, "acknowledged, and then the node died");
    // The ack is out; the pointers would have been written half a second later.
    world.cluster.kill(owner);
    world.nodes.delete(owner);
    await world.clock.advance(30_000);
    expect((await sync(2)).pointers[0]).toMatchObject({ channelId, lastId: 1 });
    expect((await sync(1)).pointers[0]).toMatchObject({ channelId, lastId: 1 });
  });

  it("a shard that moves takes its channel along: no number is lost or kept twice", async () => {
    const channelId = "d1.2";
    const owner = world.ownerOf(channelId);
    const to = [...world.nodes.keys()].find((name) => name !== owner) as string;
    const sends = [];
    for (let number = 1; number <= 5; number++) sends.push(await post(channelId, 1, number, `m${number}`));
    const moving = world.cluster.move(shardOf(channelId, 16), to);
    sends.push(await post(channelId, 1, 6, "m6"));
    await ask(moving);
    sends.push(await post(channelId, 1, 7, "m7"));
    expect(sends.map((reply) => reply.messageId)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(world.ownerOf(channelId)).toBe(to);
  });

  it("a user whose actor moves leaves its pointers behind, sooner than their window ends", async () => {
    await post("d1.2", 1, 1, "m1");
    await world.clock.advance(50); // it has been delivered
    const { registers } = world.stores.forNode();
    const pointers = async () => (await ask(registers.read("inbox", "2"))).map(({ name }) => name);
    expect(await pointers()).toEqual([]);
    const to = [...world.nodes.keys()].find((name) => name !== world.ownerOf("2")) as string;
    await ask(world.cluster.move(shardOf("2", 16), to));
    expect(await pointers()).not.toEqual([]);
  });

  it("sessions of a user whose actor moves are told to attach anew", async () => {
    const device = await world.attach(2, 20);
    const to = [...world.nodes.keys()].find((name) => name !== world.ownerOf("2")) as string;
    await ask(world.cluster.move(shardOf("2", 16), to));
    await world.clock.advance(100);
    expect(device.reattachments).toBe(1);
  });
});

describe("an inbox that has lost its rows", () => {
  const standing = async (channelId: string, userId: number) => {
    const { channel } = refsOf(world.at);
    const newestOnly = { channelId, anchor: 0, direction: HistoryDirection.BEFORE, limit: 1 };
    const { entries, lastId } = await ask(channel(channelId).history({ userId: 0, history: newestOnly }));
    const newest = entries[0] as Uint8Array;
    const { members } = await ask(channel(channelId).describe({ userId: 0 }));
    const visibleFrom = members.find((member) => member.userId === userId)?.visibleFrom ?? 1;
    return { channelId, lastId, ordinal: Entry.decode(newest).ordinal, visibleFrom, newest };
  };
  const repair = async (userId: number, channels: Awaited<ReturnType<typeof standing>>[]) => {
    const { repaired, standing } = await ask(refsOf(world.at).user(String(userId)).repair({ channels }));
    return { repaired, standing };
  };
  const elsewhere = async (userId: number) => {
    const to = ["a", "b", "c"].find((name) => name !== world.ownerOf(String(userId))) as string;
    await ask(world.cluster.move(shardOf(String(userId), 16), to));
  };

  it("is rebuilt from the channels: versions above all before, unread as it was, nothing for a second time", async () => {
    for (const number of [1, 2, 3]) await post("d1.2", 1, number, `m${number}`);
    await post("d2.3", 3, 1, "from another channel");
    await world.clock.advance(5_000); // the pointers are written
    const before = await sync(2);
    await world.loseInbox(2);
    await elsewhere(2);
    expect((await sync(2)).pointers).toEqual([]);
    const channels = [await standing("d1.2", 2), await standing("d2.3", 2)];
    expect(await repair(2, channels)).toEqual({ repaired: 2, standing: 0 });
    const { pointers, cursor } = await sync(2, before.cursor);
    expect(cursor).toBeGreaterThan(before.cursor);
    expect(pointers.map(({ channelId, lastId, ordinal }) => [channelId, lastId, ordinal])).toEqual([
      ["d1.2", 3, 3],
      ["d2.3", 1, 1],
    ]);
    expect(await repair(2, channels)).toEqual({ repaired: 0, standing: 2 });
    await elsewhere(2); // what was repaired is in the store
    expect((await sync(2)).pointers).toHaveLength(2);
  });

  it("is written again also where the actor still has it in memory, and its devices follow", async () => {
    const device = await world.attach(2, 20);
    for (const number of [1, 2]) await post("d1.2", 1, number, `m${number}`);
    await post("d1.2", 2, 1, "mine");
    await world.clock.advance(5_000);
    await world.loseInbox(2);
    expect(await repair(2, [await standing("d1.2", 2)])).toEqual({ repaired: 1, standing: 0 });
    await world.clock.advance(100);
    const chain = device.pushed.map(({ prev, version }) => [prev, version] as const);
    for (let at = 1; at < chain.length; at++) expect(chain[at]?.[0]).toBe(chain[at - 1]?.[1]);
    expect(device.texts("d1.2").at(-1)).toBe("mine");
    await elsewhere(2);
    expect((await sync(2)).pointers).toMatchObject([{ channelId: "d1.2", lastId: 3, readId: 3, readOrdinal: 3 }]);
  });

  it("never goes back to what a channel said before something newer was delivered", async () => {
    await post("d1.2", 1, 1, "m1");
    const old = await standing("d1.2", 2);
    await post("d1.2", 1, 2, "m2");
    await world.clock.advance(5_000);
    await world.loseInbox(2);
    expect(await repair(2, [old])).toEqual({ repaired: 1, standing: 0 });
    expect((await sync(2)).pointers).toMatchObject([{ lastId: 2, ordinal: 2 }]);
    expect(await repair(2, [old])).toEqual({ repaired: 0, standing: 1 });
  });
});
