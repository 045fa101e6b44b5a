import { beforeEach, describe, expect, it } from "vitest";
import type { Entry } from "../../proto/index.ts";
import { createFakeCluster, type FakeChannel, type FakeCluster, ownChannel } from "./cluster.test-rig.ts";
import type { Follow } from "./follow.ts";

let cluster: FakeCluster;
let channel: FakeChannel;
let given: number[];
beforeEach(async () => {
  cluster = await createFakeCluster({ followPageEntries: 10, followReadyMax: 20, followEarlyMax: 5 });
  channel = ownChannel(cluster, "g1");
  given = [];
});

const follow = (afterId = 0, onEntries: (ids: readonly number[]) => void | Promise<void> = () => undefined): Follow =>
  cluster.service.channel("g1").follow(afterId, (entries: readonly Entry[]) => {
    const ids = entries.map((entry) => entry.messageId);
    given.push(...ids);
    return onEntries(ids);
  });
const settle = (count: number, options?: { readonly lose?: boolean }) => {
  for (let at = 0; at < count; at++) channel.settle(options);
};
const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, at) => from + at);
const pass = (ms: number) => cluster.clock.advance(ms);
const asked = (method: string) => cluster.calls.filter((call) => call.method === method).length;

describe("who follows a channel", () => {
  it("is given what it has, and then what settles, each entry once and in order", async () => {
    settle(25);
    const following = follow();
    await pass(50);
    settle(3);
    await pass(50);
    expect(given).toEqual(upTo(28));
    expect(following.lastId).toBe(28);
  });

  it("goes on after the id that it kept", async () => {
    settle(5);
    follow(3);
    await pass(50);
    expect(given).toEqual([4, 5]);
  });

  it("is given an entry once, though it is told twice", async () => {
    follow();
    await pass(10);
    settle(2);
    cluster.settled("g1", channel.log);
    await pass(10);
    expect(given).toEqual([1, 2]);
  });

  it("asks the log at once for what lies in a gap", async () => {
    follow();
    await pass(10);
    settle(2, { lose: true });
    settle(1);
    expect(given).toEqual([]);
    await pass(10);
    expect(given).toEqual([1, 2, 3]);
  });

  it("finds out with the next renewal what nothing follows, such as after an owner change", async () => {
    follow();
    await pass(10);
    channel.followed = false; // the new owner knows of nobody
    settle(3);
    await pass(5_500);
    expect(given).toEqual([1, 2, 3]);
    settle(1);
    await pass(10);
    expect(given).toEqual(upTo(4));
  });

  it("renews at once when the connection is back", async () => {
    follow();
    await pass(10);
    cluster.cut();
    settle(4);
    await pass(1_000);
    cluster.heal();
    await pass(10);
    expect(given).toEqual(upTo(4));
  });

  it("is given everything by and by when it is slow, and little waits for it meanwhile", async () => {
    const sizes: number[] = [];
    const slow = (ids: readonly number[]) => {
      sizes.push(ids.length);
      return new Promise<void>((done) => cluster.clock.after(100, done));
    };
    follow(0, slow);
    await pass(10);
    settle(200);
    await pass(5_000);
    expect(given).toEqual(upTo(200));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(20 + 10);
  });

  it("keeps no entry that it was not given, and no channel that it does not follow", async () => {
    follow();
    await pass(10);
    cluster.settled("g2", channel.log);
    settle(1);
    await pass(10);
    expect(given).toEqual([1]);
  });
});

describe("following ends", () => {
  it("when it is stopped: nothing more is given, and the channel is told", async () => {
    const following = follow();
    await pass(10);
    settle(1);
    await following.stop();
    await following.done;
    await pass(10);
    settle(1);
    await pass(20_000);
    expect(given).toEqual([1]);
    expect(channel.followed).toBe(false);
    expect(asked("follow")).toBe(1);
  });

  it("when the application throws: it has the entry, and its id is not counted as done", async () => {
    const following = follow(0, () => Promise.reject(new Error("the disk is full")));
    const done = following.done.catch((error) => error.message);
    await pass(10);
    settle(1);
    expect(await done).toBe("the disk is full");
    expect(following.lastId).toBe(0);
    await pass(10);
    expect(channel.followed).toBe(false);
  });

  it("when the service may not follow", async () => {
    cluster.answer = () => ({ failure: { code: "SERVICE_NOT_ALLOWED" } });
    const done = follow().done.catch((error) => error.code);
    await pass(10);
    expect(await done).toBe("SERVICE_NOT_ALLOWED");
  });

  it("when the log ends below what it has had of it", async () => {
    settle(3);
    const done = follow(9).done.catch((error) => error.code);
    await pass(10);
    expect(await done).toBe("LOG_WENT_BACK");
  });

  it("not when a channel has too many followers, or nobody answers: it is tried again", async () => {
    const { answer } = cluster;
    cluster.answer = () => ({ failure: { code: "OVERLOADED", retryable: true, retryAfterMs: 1_000 } });
    follow();
    await pass(3_000);
    cluster.answer = () => "silence";
    await pass(30_000);
    cluster.answer = answer;
    settle(2);
    await pass(10_000);
    expect(given).toEqual([1, 2]);
  });
});

it("several who follow one channel have their own places, and the last one that stops tells the channel", async () => {
  settle(2);
  const first = follow(2);
  const second = follow(0);
  await pass(20);
  expect(given.toSorted()).toEqual([1, 2]);
  await first.stop();
  settle(1);
  await pass(20);
  expect(second.lastId).toBe(3);
  await second.stop();
  await pass(10);
  expect(asked("unfollow")).toBe(1);
});
