import { expect, it } from "vitest";
import { type ActorContext, shardOf } from "../../runtime/index.ts";
import { createWorld, refsOf, text, within } from "../harness.ts";
import { Channel, type ChannelPorts } from "./channel.ts";
import { headFrom } from "./head.ts";

/** What a channel that comes up for this method asks the store for. */
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
  const logs = {
    async open() {
      asked.push("log");
      throw new Error("that is enough");
    },
  };
  const coming = Channel.activate(context, { logs } as unknown as ChannelPorts, headFrom("d1.2", []));
  await expect(coming).rejects.toThrow("that is enough");
  return asked;
}

it("a channel that comes up for a send has its wake row written while it reads its log, and one that is only asked has not", async () => {
  expect(await askedFor("post")).toEqual(["wake row", "log"]);
  expect(await askedFor("announce")).toEqual(["wake row", "log"]);
  expect(await askedFor("history")).toEqual(["log"]);
  expect(await askedFor("")).toEqual(["log"]);
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
