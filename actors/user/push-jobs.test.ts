import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Content, type PushJob, PushJobKind, Role } from "../../proto/index.ts";
import { runtimeErrors, shardOf } from "../../runtime/index.ts";
import { createWorld, type Device, refsOf, text, type World, within } from "../harness.ts";

const SHARDS = 16;

let world: World;
let jobs: PushJob[];
/** What the queue does with a job before it is kept. */
let keep: (job: PushJob) => Promise<void>;

const open = (settings = {}) =>
  createWorld(["a", "b", "c"], settings, {
    async enqueue(job) {
      await keep(job);
      jobs.push(job);
    },
  });
beforeEach(async () => {
  jobs = [];
  keep = async () => {};
  world = await open();
});
afterEach(() => world.close());

const ask = <T>(promise: Promise<T>) => within(world.clock, promise);
const user = (userId: number) => refsOf(world.at).user(String(userId));
const say = (number: number, content: Content = text(`m${number}`), userId = 1) =>
  ask(
    refsOf(world.at)
      .channel("d1.2")
      .post({ userId, producer: 100 + userId, number, content }),
  );
const acknowledge = ({ deviceId, userId }: Device, deliveredId: number) =>
  user(userId).acknowledge({ deviceId, channelId: "d1.2", deliveredId });
const read = (readId: number) => ask(user(2).read({ channelId: "d1.2", readId, ordinal: readId }));
/** Job by job: whom, how far, and whether it clears. */
const made = () =>
  jobs.map(({ userId, channelId, messageId, kind }) => [
    userId,
    channelId,
    messageId,
    kind === PushJobKind.CLEAR ? "clear" : "notify",
  ]);

describe("somebody without a session", () => {
  it("has one job made a message, once its pointer is written; who wrote it has none", async () => {
    await say(1);
    await world.clock.advance(1_000);
    expect(made()).toEqual([]);
    await world.clock.advance(2_000);
    expect(made()).toEqual([[2, "d1.2", 1, "notify"]]);
    expect(jobs[0]).toMatchObject({ author: 1, deviceId: 0, notBeforeMs: 0 });
    await world.clock.advance(60_000);
    expect(jobs).toHaveLength(1);
    await say(2);
    await world.clock.advance(60_000);
    expect(made().at(-1)).toEqual([2, "d1.2", 2, "notify"]);
    expect(jobs).toHaveLength(2);
  });

  it("has one job made of what came within one write of the pointer, for the newest", async () => {
    for (const number of [1, 2, 3]) await say(number);
    await world.clock.advance(3_000);
    expect(made()).toEqual([[2, "d1.2", 3, "notify"]]);
  });

  it("has no job made of reactions, edits and deletions, nor of being let into a group", async () => {
    await say(1);
    await world.clock.advance(3_000);
    await say(2, { reaction: { messageId: 1, emoji: "🙂", removed: false } });
    await say(3, { edit: { messageId: 1, text: "better" } });
    await say(4, { deletion: { messageId: 1 } });
    const group = { userId: 1, producer: 101, number: 1, title: "", memberIds: [2, 3], historyVisible: false };
    await ask(refsOf(world.at).channel("g1").create(group));
    await world.clock.advance(60_000);
    expect(jobs).toHaveLength(1);
  });

  it("has a job made of the text that a reaction came right behind, and none of an own text there", async () => {
    await say(1);
    await world.clock.advance(60_000);
    const reaction = { reaction: { messageId: 1, emoji: "🙂", removed: false } };
    await ask(Promise.all([say(2), say(3, reaction)])); // 2 and 3
    await world.clock.advance(60_000);
    await ask(Promise.all([say(1, text("mine"), 2), say(4, reaction)])); // 4 and 5
    await world.clock.advance(60_000);
    expect(made().filter(([userId]) => userId === 2)).toEqual([
      [2, "d1.2", 1, "notify"],
      [2, "d1.2", 2, "notify"],
    ]);
  });

  it("who was removed has no job made of what said so", async () => {
    const group = refsOf(world.at).channel("g1");
    const create = { userId: 1, producer: 101, number: 1, title: "", memberIds: [2], historyVisible: false };
    await ask(group.create(create));
    await ask(group.post({ userId: 1, producer: 101, number: 2, content: text("seen by nobody in time") }));
    const members = [{ userId: 2, role: Role.MEMBER as Role }];
    await ask(
      group.change({
        userId: 1,
        producer: 0,
        number: 0,
        membership: { change: 2, members, title: "", historyVisible: false },
      }),
    );
    await world.clock.advance(60_000);
    expect(jobs).toEqual([]);
    expect(await ask(user(2).pushState({ channelId: "g1" }))).toMatchObject({ left: true });
    expect(await ask(user(2).pushState({ channelId: "g404" }))).toMatchObject({ left: true });
  });
});

describe("somebody with a session", () => {
  it("that acknowledges has no job made", async () => {
    const device = await world.attach(2, 20);
    await say(1);
    await world.clock.advance(100);
    acknowledge(device, 1);
    await world.clock.advance(60_000);
    expect(jobs).toEqual([]);
  });

  it("that acknowledges late, but in time, has none either", async () => {
    const device = await world.attach(2, 20);
    await say(1);
    await world.clock.advance(9_000);
    acknowledge(device, 1);
    await world.clock.advance(60_000);
    expect(jobs).toEqual([]);
  });

  it("that is silent has a job made pushAfterMs after the delivery, for the newest message", async () => {
    await world.attach(2, 20);
    await say(1);
    await world.clock.advance(5_000);
    await say(2);
    await world.clock.advance(4_900);
    expect(jobs).toEqual([]);
    await world.clock.advance(700);
    expect(made()).toEqual([[2, "d1.2", 2, "notify"]]);
    await world.clock.advance(60_000);
    expect(jobs).toHaveLength(1);
  });

  it("that goes silent after the first has a job made for the second", async () => {
    const device = await world.attach(2, 20);
    await say(1);
    await world.clock.advance(5_000);
    await say(2);
    await world.clock.advance(3_000);
    acknowledge(device, 1);
    await world.clock.advance(30_000);
    expect(made()).toEqual([[2, "d1.2", 2, "notify"]]);
  });

  it.each([
    ["acknowledges", (device: Device) => acknowledge(device, 1)],
    ["reads", () => read(1)],
  ])("that %s a part has as long again for the rest", async (_, part) => {
    const device = await world.attach(2, 20);
    await say(1);
    await world.clock.advance(4_000);
    await say(2);
    await world.clock.advance(5_000);
    await part(device);
    await world.clock.advance(9_900);
    expect(jobs).toEqual([]);
    await world.clock.advance(700);
    expect(made()).toEqual([[2, "d1.2", 2, "notify"]]);
  });

  it("that detaches before its pointers are written has the jobs made as if it had never been there", async () => {
    const device = await world.attach(2, 20);
    const channels = Array.from({ length: 20 }, (_, at) => `d2.${12 + at}`); // the window of none of them ends in the first moment
    const posts = channels.map((channelId, at) => {
      const post = { userId: 12 + at, producer: 1, number: 1, content: text("hello") };
      return refsOf(world.at).channel(channelId).post(post);
    });
    await ask(Promise.all(posts));
    await world.clock.advance(100);
    expect(device.pushed).toHaveLength(20);
    user(2).detach({ gateway: world.at.nodeId, sessionId: device.sessionId });
    await world.clock.advance(2_600);
    expect(new Set(jobs.map(({ channelId }) => channelId))).toEqual(new Set(channels));
  });

  it("that reads has none made, whichever of its devices it is", async () => {
    await world.attach(2, 20);
    await say(1);
    await read(1);
    await world.clock.advance(60_000);
    expect(jobs).toEqual([]);
  });
});

describe("what was pushed and is read", () => {
  it("has one job made that clears it, also when the actor had left memory in between", async () => {
    await say(1);
    await world.clock.advance(200_000); // passivated
    await read(1);
    await world.clock.advance(3_000);
    expect(made()).toEqual([
      [2, "d1.2", 1, "notify"],
      [2, "d1.2", 1, "clear"],
    ]);
    await world.clock.advance(200_000);
    await read(1);
    await say(1, text("answer"), 2);
    await world.clock.advance(60_000);
    expect(made().filter(([userId]) => userId === 2)).toHaveLength(2);
  });

  it("is cleared when it was told to silent devices, or is answered rather than read", async () => {
    await world.attach(2, 20);
    await say(1);
    await world.clock.advance(15_000);
    await say(1, text("answer"), 2);
    await world.clock.advance(3_000);
    expect(made().filter(([userId]) => userId === 2)).toEqual([
      [2, "d1.2", 1, "notify"],
      [2, "d1.2", 2, "clear"],
    ]);
  });

  it("is not cleared while something newer of it is unread", async () => {
    await say(1);
    await say(2);
    await world.clock.advance(3_000);
    await read(1);
    await world.clock.advance(3_000);
    expect(made()).toEqual([[2, "d1.2", 2, "notify"]]);
  });
});

describe("the worker's question", () => {
  it("is answered with what the user has read, received and not read", async () => {
    const device = await world.attach(2, 20);
    for (const number of [1, 2, 3]) await say(number);
    await world.clock.advance(100);
    await read(1);
    acknowledge(device, 2);
    await world.clock.advance(1_000);
    const state = await ask(user(2).pushState({ channelId: "d1.2" }));
    expect(state).toMatchObject({ readId: 1, deliveredId: 2, unread: 2, left: false, visibleFrom: 1 });
  });
});

describe("a queue in trouble", () => {
  /** Refuses everything; says what was asked. */
  const refuseAll = () => {
    const refused: number[] = [];
    keep = async ({ messageId }) => {
      refused.push(messageId);
      throw runtimeErrors.UNAVAILABLE();
    };
    return refused;
  };

  it("does not hold up the chat, and is asked again every pushAfterMs until it keeps the job", async () => {
    const refused = refuseAll();
    await say(1);
    await world.clock.advance(3_000);
    const why = await ask(refsOf(world.at).channel("d1.2").why({ messageId: 1 }));
    expect(why.members).toMatchObject([{ confirmedId: 1 }, { confirmedId: 1 }]);
    await world.clock.advance(60_000);
    expect(refused.length).toBeGreaterThanOrEqual(5);
    expect(refused.length).toBeLessThanOrEqual(7);
    keep = async () => {};
    await world.clock.advance(11_000);
    expect(made()).toEqual([[2, "d1.2", 1, "notify"]]);
    await world.clock.advance(60_000);
    expect(jobs).toHaveLength(1);
  });

  it("is asked for the newest message, if another one came meanwhile", async () => {
    refuseAll();
    await say(1);
    await world.clock.advance(5_000);
    await say(2);
    await world.clock.advance(5_000);
    keep = async () => {};
    await world.clock.advance(30_000);
    expect(made()).toEqual([[2, "d1.2", 2, "notify"]]);
  });

  it("that refuses more than may wait has what came since asked for all the same", async () => {
    await world.close();
    world = await open({ pushWatchedMax: 0 });
    let refuse: (() => void) | undefined;
    keep = () =>
      new Promise((_, reject) => {
        refuse = () => reject(runtimeErrors.OVERLOADED());
      });
    await say(1);
    await world.clock.advance(3_000);
    keep = async () => {};
    await say(2);
    await world.clock.advance(50); // it is delivered, and its pointer not written
    refuse?.();
    await world.clock.advance(30_000);
    expect(made()).toEqual([[2, "d1.2", 2, "notify"]]);
  });

  it("is not asked again for what was read meanwhile", async () => {
    refuseAll();
    await say(1);
    await world.clock.advance(5_000);
    keep = async () => {};
    await read(1);
    await world.clock.advance(30_000);
    expect(made().filter(([, , , kind]) => kind === "notify")).toEqual([]);
  });

  it("that is slow delays the confirmation of what it has to keep, and of nothing else", async () => {
    keep = () => new Promise((resolve) => world.clock.after(5_000, resolve));
    await say(1);
    await world.clock.advance(4_000);
    const confirmed = async () => {
      const { members } = await ask(refsOf(world.at).channel("d1.2").why({ messageId: 1 }));
      return members.map(({ userId, confirmedId }) => [userId, confirmedId]);
    };
    expect(await confirmed()).toEqual([
      [1, 1],
      [2, 0],
    ]);
    await world.clock.advance(4_000);
    expect(await confirmed()).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expect(jobs).toHaveLength(1);
  });
});

describe("when nodes come and go", () => {
  it("a node that dies between the pointer and the job leaves the job to its successor", async () => {
    const dead = world.ownerOf("2");
    keep = () => new Promise(() => {}); // the job never leaves the node that dies
    await say(1);
    await world.clock.advance(3_000);
    keep = async () => {};
    world.cluster.kill(dead);
    world.nodes.delete(dead);
    await world.clock.advance(60_000);
    expect(made().length).toBeGreaterThanOrEqual(1);
    expect(new Set(made().map((job) => job.join()))).toEqual(new Set(["2,d1.2,1,notify"]));
  });

  it("an owner that lost its shard makes no job", async () => {
    await world.attach(2, 20);
    await say(1);
    await world.clock.advance(3_000);
    // The shard is claimed elsewhere; placement gives it to a third one then, above that epoch.
    const elsewhere = world.stores.forNode().fence.claim({ shard: shardOf("2", SHARDS), epoch: 99 });
    await elsewhere.catch(() => undefined);
    await world.clock.advance(60_000);
    expect(jobs).toEqual([]);
  });

  it("a hand-off makes the jobs of silent devices at once", async () => {
    await world.attach(2, 20);
    await say(1);
    await world.clock.advance(3_000);
    const to = [...world.nodes.keys()].find((name) => name !== world.ownerOf("2")) as string;
    await ask(world.cluster.move(shardOf("2", SHARDS), to));
    await world.clock.advance(1_000);
    expect(made()).toEqual([[2, "d1.2", 1, "notify"]]);
    await world.clock.advance(60_000);
    expect(jobs).toHaveLength(1);
  });
});
