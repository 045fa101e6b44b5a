import { afterEach, beforeEach, expect, it } from "vitest";
import { Batch, Entry, SettledNotice } from "../../proto/index.ts";
import { createWorld, refsOf, text, type World, within } from "../harness.ts";

let world: World;
beforeEach(async () => {
  world = await createWorld(["a", "b"], { followersMax: 2, followLeaseMsMax: 30_000 });
});
afterEach(() => world.close());

const channel = (id: string) => refsOf(world.at).channel(id);
const post = (number: number, producer = 7) =>
  within(world.clock, channel("d1.2").post({ userId: 1, producer, number, content: text(`m${number}`) }));
const follow = (follower: string, leaseMs = 20_000) =>
  within(world.clock, channel("d1.2").follow({ follower, leaseMs }));

/** What a service is told, by id. */
function listen(id: string): number[] {
  const told: number[] = [];
  world.cluster.join(id, []).transport.open({
    onBatch(_from, _lane, bytes) {
      for (const { call } of Batch.decode(bytes).envelopes) {
        if (call?.method !== "settled") continue;
        for (const record of SettledNotice.decode(call.payload).entries) told.push(Entry.decode(record).messageId);
      }
    },
    onRequest() {},
  });
  return told;
}

it("a follower is told of what settles after it followed, each entry once, however often it renews", async () => {
  const told = listen("svc-bot#1");
  await post(1);
  await world.clock.advance(100);
  expect(await follow("svc-bot#1")).toEqual({ lastId: 1, leaseMs: 20_000 });
  for (const number of [2, 3]) await post(number);
  expect((await follow("svc-bot#1")).lastId).toBe(3);
  await post(4);
  await world.clock.advance(100);
  expect(told).toEqual([2, 3, 4]);
});

it("a follower whose lease has ended, or that unfollows, is told nothing more", async () => {
  const told = listen("svc-bot#1");
  expect((await follow("svc-bot#1", 1_000_000)).leaseMs).toBe(30_000);
  await world.clock.advance(31_000);
  await post(1);
  await world.clock.advance(100);
  await follow("svc-bot#1");
  channel("d1.2").unfollow({ follower: "svc-bot#1" });
  await post(2);
  await world.clock.advance(100);
  expect(told).toEqual([]);
});

it("a channel has a limited number of followers, and one that has gone makes room", async () => {
  await follow("svc-bot#1", 1_000);
  await follow("svc-bot#2");
  await expect(follow("svc-bot#3")).rejects.toMatchObject({ code: "OVERLOADED", executed: "no" });
  await follow("svc-bot#2");
  await world.clock.advance(1_000);
  await follow("svc-bot#3");
});

it.each(["a", "b#1", "svc-bot", "svc-bot#1.nack", ""])(
  "what is no service cannot be made to follow: %j",
  async (id) => {
    await expect(follow(id)).rejects.toMatchObject({ code: "NOT_ALLOWED" });
  },
);
