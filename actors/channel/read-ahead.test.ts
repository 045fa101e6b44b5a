import { expect, it } from "vitest";
import { type ActorContext, shardOf } from "../../runtime/index.ts";
import { createWorld, refsOf, text, within } from "../harness.ts";
import { Channel, type ChannelPorts } from "./channel.ts";

/** What a channel that comes up for this method asks for before its shard is claimed. */
async function askedFor(activatedFor: string): Promise<string[]> {
  const asked: string[] = [];
  const context = {
    id: "d1.2",
    activatedFor,
    wakeOnFailover() {
      asked.push("wake row");
      return Promise.reject(new Error("the store is away"));
    },
  } as unknown as ActorContext;
  const registers = {
    async read(family: string, owner: string) {
      asked.push(`${family} of ${owner}`);
      return [];
    },
  };
  await Channel.readAhead(context, { registers } as unknown as ChannelPorts);
  return asked;
}

it("a channel that comes up for a send has its wake row written beside the read of its head, and one that is only asked has not", async () => {
  expect(await askedFor("post")).toEqual(["wake row", "head of d1.2"]);
  expect(await askedFor("announce")).toEqual(["wake row", "head of d1.2"]);
  expect(await askedFor("history")).toEqual(["head of d1.2"]);
  expect(await askedFor("")).toEqual(["head of d1.2"]);
});

it("a channel that leaves before all have confirmed its last entry says that it is settled, and its state stays that of before", async () => {
  const world = await createWorld(["a", "b"]);
  const channelId = "d1.2";
  const channel = () => refsOf(world.at).channel(channelId);
  const post = (number: number) =>
    within(world.clock, channel().post({ userId: 1, producer: 5, number, content: text(`m${number}`) }));
  const { registers } = world.stores.forNode();
  const head = async () =>
    (await within(world.clock, registers.read("head", channelId))).map(({ name, timestamp }) => `${name} ${timestamp}`);
  await post(1);
  await post(2);
  const to = world.ownerOf(channelId) === "a" ? "b" : "a";
  await within(world.clock, world.cluster.move(shardOf(channelId, 16), to)); // sooner than pointers are written
  expect(await head()).toEqual(["settled 2"]);
  expect((await post(3)).messageId).toBe(3);
  await world.clock.advance(10_000); // all have confirmed
  await within(world.clock, world.cluster.move(shardOf(channelId, 16), to === "a" ? "b" : "a"));
  expect(await head()).toEqual(["fanned_out 3", "settled 2", "snapshot 3"]);
  await world.close();
});
