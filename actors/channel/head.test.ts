import { expect, it } from "vitest";
import { type ActorContext, shardOf, type Tenure } from "../../runtime/index.ts";
import type { LogEvents, LogHint } from "../../storage/index.ts";
import { createWorld, refsOf, text, within } from "../harness.ts";
import { Channel, type ChannelPorts } from "./channel.ts";
import { headFrom, settledWrite, snapshotWrites } from "./head.ts";
import { encodeSnapshot } from "./snapshot.ts";
import { emptyChannel } from "./state.ts";

/** What a channel that comes up for this method, from this head, asks the store for. */
async function askedFor(activatedFor: string, head = headFrom("d1.2", [])): Promise<string[]> {
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
    async open(_channelId: string, _tenure: Tenure, _events: LogEvents, { settled, replayFrom }: LogHint) {
      asked.push(`log from ${replayFrom}, settled through ${settled}`);
      throw new Error("that is enough");
    },
  };
  const coming = Channel.activate(context, { logs } as unknown as ChannelPorts, head);
  await expect(coming).rejects.toThrow("that is enough");
  return asked;
}

it("a channel that comes up for a send has its wake row written while it reads its log, and one that is only asked has not", async () => {
  const fresh = "log from 1, settled through 0";
  expect(await askedFor("post")).toEqual(["wake row", fresh]);
  expect(await askedFor("announce")).toEqual(["wake row", fresh]);
  expect(await askedFor("history")).toEqual([fresh]);
  expect(await askedFor("")).toEqual([fresh]);
});

it("a channel reads its log from its snapshot on, and knows it as settled as far as its last owner has said", async () => {
  const state = Object.assign(emptyChannel("d1.2"), { lastId: 5 });
  const snapshot = snapshotWrites("d1.2", { id: 5, value: encodeSnapshot(state) }, 6);
  expect(headFrom("d1.2", snapshot)).toMatchObject({ fannedOut: 6, settled: 5 });
  const marked = headFrom("d1.2", [...snapshot, settledWrite("d1.2", 9)]);
  expect(marked).toMatchObject({ fannedOut: 6, settled: 9 });
  expect(await askedFor("", marked)).toEqual(["log from 6, settled through 9"]);
  expect(headFrom("d1.2", [...snapshot, settledWrite("d1.2", 3)]).settled).toBe(5); // a mark from before the snapshot
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
