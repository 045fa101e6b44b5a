import { expect, it } from "vitest";
import type { ActorContext } from "../../runtime/index.ts";
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
