// The directory gives a shard to another node without asking the owner, at whatever moment of an append.

import { expect, it } from "vitest";
import { Entry } from "../../proto/index.ts";
import { shardOf } from "../../runtime/index.ts";
import { createWorld, refsOf, text, within } from "../harness.ts";

/** Microtask turns between a send and the change of owner: more than a send takes. */
const MOMENTS = 60;

it("a channel whose shard was given away in the middle of an append tells nobody anything wrong, and its log goes on", async () => {
  const world = await createWorld(["a", "b"]);
  const channelId = "d1.2";
  const channel = () => refsOf(world.at).channel(channelId);
  const outcomes = new Set<string>();
  const acknowledged = new Map<number, number>();
  for (let moment = 0; moment < MOMENTS; moment++) {
    const send = { userId: 1, producer: 5, number: moment + 1, content: text(`m${moment}`) };
    const sent = channel().post(send);
    const outcome = sent.then(
      ({ messageId }) => {
        acknowledged.set(moment, messageId);
        return "ok";
      },
      ({ code }) => code as string,
    );
    for (let turn = 0; turn < moment; turn++) await undefined;
    world.cluster.seize(shardOf(channelId, 16), world.ownerOf(channelId) === "a" ? "b" : "a");
    outcomes.add(await within(world.clock, outcome));
    const { messageId } = await within(world.clock, channel().post(send));
    expect(messageId).toBe(acknowledged.get(moment) ?? messageId);
  }
  const history = { channelId, anchor: 0, direction: 1 as const, limit: MOMENTS };
  const { entries } = await within(world.clock, channel().history({ userId: 1, history }));
  const texts = entries.map((record) => Entry.decode(record).content?.text?.text);
  expect(texts).toEqual(Array.from({ length: MOMENTS }, (_, at) => `m${at}`));
  expect(outcomes).toContain("SHARD_LOST"); // so the middle of an append was among the moments
  await world.close();
});
