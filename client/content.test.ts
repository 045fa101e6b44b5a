// What the contract does not take is refused here, before the store or the line has seen any of it.

import { describe, expect, it } from "vitest";
import type { Content } from "../proto/client.ts";
import type { Client } from "./client.ts";
import type { Message } from "./content.ts";
import { createWorld } from "./testing/world.ts";

const D = "d1.2";
const HALF = "a\ud83d";
const item = { url: "https://files.example/1", mediaType: "image/png", name: "one", bytes: 1 };
const attachments = (items: (typeof item)[], caption = "") => ({ attachments: { items, caption } });

async function expectRefused(message: Message, code: string): Promise<void> {
  const { clock, server, records, start } = createWorld();
  const first = await start();
  const before = new Map(records);
  const sending = first.client.channel(D).send(message);
  await expect(sending).rejects.toMatchObject({ code, retryable: false, executed: "no" });
  await clock.settle();
  expect(records).toEqual(before);
  expect(first.client.outbox).toEqual([]);
  await first.client.close();
  const second = await start();
  const after = second.client.channel(D).send("after");
  await clock.settle();
  expect(await after).toMatchObject({ messageId: 1 });
  expect(server.sends.map(({ number }) => number)).toEqual([1]); // no number was spent on it
}

describe("a message is refused before it is kept", () => {
  it.each<[string, Message]>([
    ["a text", HALF],
    ["a long text", "x".repeat(10_000) + HALF],
    ["the second half first", "\udc4b\ud83d"],
    ["an edit", { edit: { messageId: 1, text: HALF } }],
    ["a reaction", { reaction: { messageId: 1, emoji: "\ud83d", removed: false } }],
    ["a caption", attachments([item], HALF)],
    ["the address of a file", attachments([item, { ...item, url: HALF }])],
    ["the type of a file", attachments([{ ...item, mediaType: HALF }])],
    ["the name of a file", attachments([{ ...item, name: HALF }])],
    ["the second of two kinds", { text: { text: "fine", replyTo: 0 }, edit: { messageId: 1, text: HALF } }],
  ])("with half of a surrogate pair in it: %s", (_, message) => expectRefused(message, "TEXT_MALFORMED"));

  it.each<[string, Message]>([
    ["a text", ""],
    ["an edit", { edit: { messageId: 1, text: "" } }],
    ["a reaction", { reaction: { messageId: 1, emoji: "", removed: false } }],
    ["attachments without a file", attachments([], "only a caption")],
    ["a ciphertext", { ciphertext: { data: new Uint8Array() } }],
    ["a content of no kind", {}],
  ])("that holds nothing: %s", (_, message) => expectRefused(message, "CONTENT_EMPTY"));

  const long = "👋".repeat(100_001);
  it.each<[string, Message]>([
    ["a text", long],
    ["an edit", { edit: { messageId: 1, text: long } }],
    ["a caption", attachments([item], long)],
  ])("that is longer than the server takes: %s", (_, message) => expectRefused(message, "TEXT_TOO_LONG"));

  it.each<[string, Message]>([
    ["the message that a text replies to", { text: { text: "x", replyTo: 2 ** 53 } }],
    ["the message of an edit", { edit: { messageId: Number.NaN, text: "x" } }],
    ["the message of a deletion", { deletion: { messageId: -1 } }],
    ["the message of a reaction", { reaction: { messageId: 0.5, emoji: "x", removed: false } }],
    ["the size of a file", attachments([{ ...item, bytes: 2 ** 53 }])],
  ])("whose integer is none that the wire can carry: %s", (_, message) => expectRefused(message, "BAD_FRAME"));

  it.each<[string, Content]>([
    ["a membership", { membership: { change: 0, members: [], title: HALF, historyVisible: false } }],
    ["a system entry", { system: { text: HALF } }],
    ["a block", { block: { blocked: true } }],
  ])("that only the server writes: %s", (_, message) => expectRefused(message, "CONTENT_NOT_ACCEPTED"));
});

describe("a message is taken", () => {
  const deliver = async (client: Client, clock: { settle(): Promise<void> }, message: Message) => {
    const sending = client.channel(D).send(message);
    await clock.settle();
    return (await sending).messageId;
  };

  it("of as many code points as the server said, though it has twice as many code units", async () => {
    const { clock, start } = createWorld();
    const { client } = await start();
    expect(await deliver(client, clock, "👋".repeat(100_000))).toBe(1);
  });

  it("of any length that the server has set no limit to", async () => {
    const { clock, server, start } = createWorld();
    server.textCharactersMax = 0;
    const { client } = await start();
    expect(await deliver(client, clock, "x".repeat(100_001))).toBe(1);
  });

  it("with an attachment without a caption", async () => {
    const { clock, start } = createWorld();
    const { client } = await start();
    expect(await deliver(client, clock, attachments([item]))).toBe(1);
  });

  it("without a connection, however long: only the server knows", async () => {
    const { clock, server, start } = createWorld();
    await (await start()).client.close();
    server.up = false;
    const { client } = await start();
    expect(client.state.phase).not.toBe("online");
    client
      .channel(D)
      .send("x".repeat(100_001))
      .catch(() => undefined);
    await clock.settle();
    expect(client.outbox).toHaveLength(1);
  });
});

describe("a frame that the server would not take", () => {
  const large = { ciphertext: { data: new Uint8Array(600_000) } };
  const code = (sending: Promise<unknown>) => sending.then(String, (error: { code: string }) => error.code);

  it("is not sent: the server would close the connection, each time anew", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    const sending = ["before", large, "after"].map((message) => client.channel(D).send(message));
    sending.map((one) => one.catch(() => undefined));
    await clock.advance(1_000);
    await expect(sending[1]).rejects.toMatchObject({ code: "FRAME_TOO_LARGE", retryable: false, executed: "no" });
    expect(server.texts(D)).toEqual(["before", "after"]);
    expect(server.sends.filter(({ content }) => content?.ciphertext)).toEqual([]);
    expect(server.connections).toHaveLength(1);
    expect(client.outbox).toEqual([]);
  });

  it("is refused after a restart, too, when it was kept without a connection", async () => {
    const { clock, server, start } = createWorld();
    await (await start()).client.close();
    server.up = false;
    const offline = await start();
    const told = code(offline.client.channel(D).send(large));
    await clock.settle();
    await offline.client.close();
    expect(await told).toBe("CLOSED");
    server.up = true;
    const { client, events } = await start();
    await clock.advance(30_000); // an attempt of the former run might still have been on its way
    const refused = events.flatMap(({ name, payload }) => (name === "refused" ? [payload] : []));
    expect(refused).toMatchObject([{ error: { code: "FRAME_TOO_LARGE" } }]);
    expect(client.outbox).toEqual([]);
    expect(server.sends).toEqual([]);
  });
});
