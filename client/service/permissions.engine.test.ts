// deploy/nats/permissions.conf, on a server of its own: a service is who it says it is, and reaches only what is its own.

import { connect, type NatsConnection, nkeys } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Batch, PresenceService } from "../../proto/index.ts";
import { pause, systemClock } from "../../runtime/index.ts";
import { startServices } from "../../tools/services/index.ts";
import { createService } from "./index.ts";
import { type Nodes, startNodes } from "./nodes.test-rig.ts";
import { cluster, type PermittedNats, permissions, startPermittedNats, type User } from "./permitted.test-rig.ts";

const allowed = ["bot:Presence.ask", "bot:Channel.*", "auditor:Presence.ask"];

let server: PermittedNats;
let nodes: Nodes;
let url = "";
let passwords: PermittedNats["passwords"];
beforeAll(async () => {
  server = await startPermittedNats();
  ({ url, passwords } = server);
  nodes = await startNodes({ url, cluster, allowed, credentials: { user: "node", password: passwords.node } });
}, 300_000); // a first run builds the server
afterAll(async () => {
  await nodes?.close();
  await server?.stop();
});

const open = (name: string, user: User, password: string = passwords[user]) =>
  createService({ url, cluster, name, user, password });

/** A connection as the bot has it, without the client's manners; and what the server did not permit it. */
async function asBot(): Promise<{ readonly nats: NatsConnection; readonly forbidden: string[] }> {
  const nats = await connect({ servers: new URL(url).host, user: "bot", pass: passwords.bot, noEcho: true });
  const forbidden: string[] = [];
  void (async () => {
    for await (const status of nats.status()) if (status.type === "error") forbidden.push(status.error.message);
  })();
  return { nats, forbidden };
}

/** A call to the presence of a user who is not there. */
const call = (from: string) =>
  Batch.encode({
    protocol: 1,
    link: 0,
    envelopes: [
      {
        call: {
          callId: 1,
          from,
          service: "Presence",
          method: "ask",
          ids: ["1"],
          deadlineMs: 1_000,
          payload: PresenceService.methods.ask.request.encode({ askerId: 0 }).finish(),
          traceparent: "",
          hops: 0,
        },
      },
    ],
    piece: new Uint8Array(0),
    piecesBefore: 0,
    piecesLeft: 0,
  }).finish();

describe("a service with the permissions of its name", () => {
  it("works", async () => {
    await nodes.post("d1.2", 1, 1, "hello");
    const bot = await open("bot", "bot");
    expect((await bot.channel("d1.2").announce({ producer: 1, number: 1, text: "hi" })).messageId).toBe(2);
    const given: number[] = [];
    const following = bot.channel("d1.2").follow(0, (entries) => void given.push(...entries.map((e) => e.messageId)));
    while (following.lastId < 2) await pause(systemClock, 5);
    expect(given).toEqual([1, 2]);
    await bot.close();
    const auditor = await open("auditor", "auditor");
    expect((await auditor.presence(1).ask()).userId).toBe(1);
    await expect(auditor.channel("d1.2").history()).rejects.toMatchObject({ code: "SERVICE_NOT_ALLOWED" });
    await auditor.close();
  });

  it("cannot be started under another name, and is told which subject was refused", async () => {
    const failed = open("auditor", "bot");
    await expect(failed).rejects.toMatchObject({ code: "NATS_REFUSED", retryable: false });
    await expect(failed).rejects.toThrow(/madang\.prod\.(route\.auditor|service\.auditor)/);
  });

  it("is not let in with a wrong password, which nobody gets to read", async () => {
    const failed = open("bot", "bot", "guessed");
    await expect(failed).rejects.toMatchObject({ code: "NATS_REFUSED" });
    await expect(failed).rejects.not.toThrow(/guessed/);
  });

  it("may prove itself by a key instead of a password, and the server holds no secret then", async () => {
    const key = nkeys.createUser();
    const byKey = permissions.replace(/user: bot, password: \$NATS_BOT_PASSWORD/, `nkey: ${key.getPublicKey()}`);
    expect(byKey).not.toBe(permissions);
    const other = await startServices({ only: ["nats"], given: {}, natsConfig: byKey });
    const nkeySeed = new TextDecoder().decode(key.getSeed());
    const address = { url: other.environment.NATS_URL ?? "", cluster, name: "bot" };
    const bot = await createService({ ...address, nkeySeed });
    expect(bot.connected).toBe(true);
    await bot.close();
    await expect(createService(address)).rejects.toMatchObject({ code: "NATS_REFUSED" });
    await other.stop();
  });

  it.each([
    ["another service's way in", "madang.prod.route.auditor"],
    ["a node's lane", "madang.prod.node.a#1.0"],
    ["another service's inbox", "madang.prod.service.auditor.x.0"],
    ["the control subject", "madang.prod.control"],
    ["the way in to another cluster", "madang.test.route.bot"],
    ["the streams", "$JS.API.STREAM.LIST"],
  ])("cannot publish to %s", async (_what, subject) => {
    const heard: string[] = [];
    const node = await connect({ servers: new URL(url).host, user: "node", pass: passwords.node });
    node.subscribe("madang.prod.>", { callback: (_error, message) => void heard.push(message.subject) });
    await node.flush();
    const { nats, forbidden } = await asBot();
    nats.publish(subject, call("svc-bot#1"));
    await nats.flush();
    await nats.flush();
    await node.flush();
    expect(forbidden).toEqual([expect.stringContaining(`Publish to "${subject}"`)]);
    expect(heard).not.toContain(subject);
    await nats.close();
    await node.close();
  });

  it.each([
    ["another service's inbox", "madang.prod.service.auditor.>"],
    ["everybody's inbox", "madang.prod.service.>"],
    ["what nodes say to each other", "madang.prod.node.*.*"],
    ["what services ask", "madang.prod.route.*"],
    ["everything", ">"],
    ["replies of others", "_INBOX.>"],
  ])("cannot hear %s", async (_what, subject) => {
    const { nats, forbidden } = await asBot();
    nats.subscribe(subject, { callback: () => undefined });
    await nats.flush();
    await nats.flush();
    expect(forbidden).toEqual([expect.stringContaining(`Subscription to "${subject}"`)]);
    await nats.close();
  });

  it("cannot have the answer sent to somebody else, nor to itself under another name", async () => {
    const heard: string[] = [];
    const node = await connect({ servers: new URL(url).host, user: "node", pass: passwords.node });
    node.subscribe("madang.prod.service.>", { callback: (_error, message) => void heard.push(message.subject) });
    await node.flush();
    const { nats } = await asBot();
    const froms = ["svc-auditor#1", "a#1", "svc-bot#1.0", "svc-bot#*", "svc-bot#mine"];
    for (const from of froms) nats.publish("madang.prod.route.bot", call(from));
    await nats.flush();
    while (heard.length === 0) await node.flush();
    for (let round = 0; round < 20; round++) await node.flush();
    expect(heard.map((subject) => subject.split(".").slice(0, 5).join("."))).toEqual(["madang.prod.service.bot.mine"]);
    await nats.close();
    await node.close();
  });
});
