import { describe, expect, it } from "vitest";
import { ErrorCode, Executed, GoAwayReason } from "../proto/client.ts";
import { ClientError } from "./errors.ts";
import { createMemoryStore } from "./store/memory.ts";
import { refusal } from "./testing/server.ts";
import { createWorld } from "./testing/world.ts";

const D = "d1.2";

/** Resolves to what the promise became, so that a test may look later. */
const outcome = (sending: Promise<{ messageId: number }>) =>
  sending.then(
    ({ messageId }) => messageId,
    (error: unknown) => (error instanceof ClientError ? error.code : "?"),
  );

describe("sending", () => {
  it("a send is numbered, kept before it leaves, and forgotten when it is acknowledged", async () => {
    const { clock, server, records, start } = createWorld();
    const { client } = await start();
    let keptBefore = false;
    server.intercept = ({ send }) => {
      if (send) keptBefore = [...records.keys()].some((key) => key.startsWith("out/d1.2/"));
      return false;
    };
    const one = outcome(client.channel(D).send("one"));
    const two = outcome(client.channel(D).send("two"));
    await clock.settle();
    expect(await Promise.all([one, two])).toEqual([1, 2]);
    expect(keptBefore).toBe(true);
    expect(server.sends.map(({ number }) => number)).toEqual([1, 2]);
    expect([...records.keys()].filter((key) => key.startsWith("out/"))).toEqual([]);
  });

  it("nothing is sent before the device has caught up", async () => {
    const { clock, server, start } = createWorld();
    const feed = server.feed.bind(server);
    server.feed = () => {};
    const { client } = await start();
    void client.channel(D).send("early");
    await clock.settle();
    expect(client.state.phase).toBe("syncing");
    expect(server.sends).toEqual([]);
    feed(0, server.connection, 1);
    await clock.settle();
    expect(server.texts(D)).toEqual(["early"]);
  });

  it("after a reconnection what was not answered goes again under the same number, and is kept once", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    server.intercept = ({ send }) => {
      if (send?.number === 1) server.post(send); // kept, but the answer is lost
      return send !== undefined && send !== null;
    };
    const sent = ["a", "b", "c"].map((text) => outcome(client.channel(D).send(text)));
    await clock.settle();
    server.connection.cut();
    server.intercept = () => false;
    await clock.advance(1_000);
    expect(await Promise.all(sent)).toEqual([1, 2, 3]);
    expect(server.texts(D)).toEqual(["a", "b", "c"]);
    expect(new Set(server.sends.map(({ producer }) => producer)).size).toBe(1);
    const again = server.connection.received.flatMap(({ send }) => (send ? [send.number] : []));
    expect(again).toEqual([2, 3]); // the first was seen in the log
  });

  it("after a restart what was not acknowledged goes again under the same producer and number", async () => {
    const { clock, server, records, start } = createWorld();
    const first = await start();
    server.intercept = ({ send }) => send !== undefined && send !== null;
    for (const text of ["a", "b"])
      first.client
        .channel(D)
        .send(text)
        .catch(() => undefined);
    await clock.settle();
    await first.client.close();
    const [sentBefore] = server.sends;
    if (sentBefore) server.post(sentBefore); // it had arrived after all
    server.intercept = () => false;
    const second = await start({ records });
    await clock.advance(1_000);
    expect(server.texts(D)).toEqual(["a", "b"]);
    expect(second.events.filter(({ name }) => name === "sent")).toHaveLength(2);
    expect(new Set(server.sends.map(({ producer }) => producer)).size).toBe(1);
    expect(second.client.outbox).toEqual([]);
  });

  it("a send that is refused in the middle of a pipeline leaves no gap, and the others arrive in order, once", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    server.intercept = ({ request, send }, connection) => {
      if (send?.content?.text?.text !== "bad") return false;
      connection.say(refusal(ErrorCode.TEXT_TOO_LONG), request);
      return true;
    };
    const sent = ["a", "bad", "b", "bad", "c"].map((text) => outcome(client.channel(D).send(text)));
    await clock.advance(1_000);
    expect(await Promise.all(sent)).toEqual([1, "TEXT_TOO_LONG", 2, "TEXT_TOO_LONG", 3]);
    expect(server.texts(D)).toEqual(["a", "b", "c"]);
    expect(server.log(D).map(({ number }) => number)).toEqual([1, 2, 3]);
  });

  it("a number is not given to another text while an attempt under a higher one may still be executed", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    // "bad" is refused; the answer to "b" (number 2) is lost with the connection.
    server.intercept = ({ request, send }, connection) => {
      if (!send) return false;
      if (send.number === 1) connection.say(refusal(ErrorCode.TEXT_TOO_LONG), request);
      return true;
    };
    const sent = ["bad", "b"].map((text) => outcome(client.channel(D).send(text)));
    await clock.settle();
    const [, straggler] = server.sends;
    server.connection.cut();
    server.intercept = () => false;
    await clock.advance(60_000);
    expect(await Promise.all(sent)).toEqual(["TEXT_TOO_LONG", 1]);
    if (straggler) server.post(straggler); // and now the lost attempt comes through
    expect(server.texts(D)).toEqual(["b"]);
  });

  it("a busy server is asked again, in order, after the time that it says", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    let busy = true;
    server.intercept = ({ request, send }, connection) => {
      if (send?.number !== 1 || !busy) return false;
      connection.say(refusal(ErrorCode.OVERLOADED, { retryable: true, retryAfterMs: 700 }), request);
      return true;
    };
    const sent = ["a", "b"].map((text) => outcome(client.channel(D).send(text)));
    await clock.advance(600);
    expect(server.sends).toHaveLength(2);
    busy = false;
    await clock.advance(400);
    expect(await Promise.all(sent)).toEqual([1, 2]);
    expect(server.texts(D)).toEqual(["a", "b"]);
  });

  it("an unknown outcome is asked for again under the same number", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    let first = true;
    server.intercept = ({ request, send }, connection) => {
      if (!send || !first) return false;
      first = false;
      server.pushes = false;
      server.post(send);
      server.pushes = true;
      const facts = { retryable: true, executed: Executed.MAYBE };
      connection.say(refusal(ErrorCode.DEADLINE_EXCEEDED, facts), request);
      return true;
    };
    const sent = outcome(client.channel(D).send("a"));
    await clock.advance(5_000);
    expect(await sent).toBe(1);
    expect(server.texts(D)).toEqual(["a"]);
  });

  it("at most sixteen sends of a channel are on their way", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    server.intercept = ({ send }) => send !== undefined && send !== null;
    for (let i = 0; i < 40; i++)
      client
        .channel(D)
        .send(`${i}`)
        .catch(() => undefined);
    await clock.settle();
    expect(server.sends).toHaveLength(16);
    await client.close();
  });

  it("a full outbox refuses further sends", async () => {
    const { start } = createWorld();
    const { client } = await start({ settings: { outboxItemsMax: 2 } });
    const sent = ["a", "b", "c"].map((text) => outcome(client.channel(D).send(text)));
    expect(await sent[2]).toBe("OUTBOX_FULL");
  });

  it("a send that the store cannot keep is refused and never leaves; the next one does", async () => {
    const { clock, server, records, start } = createWorld();
    let broken = false;
    const store = {
      load: async () => new Map(records),
      async write(changes: readonly { key: string; value: Uint8Array | undefined }[]) {
        if (broken) throw new Error("disk full");
        await createMemoryStore(records).write(changes);
      },
      async close() {},
    };
    const { client } = await start({ store });
    broken = true;
    expect(await outcome(client.channel(D).send("lost"))).toBe("STORE_FAILED");
    broken = false;
    const sent = outcome(client.channel(D).send("kept"));
    await clock.advance(2_000);
    expect(await sent).toBe(1);
    expect(server.texts(D)).toEqual(["kept"]);
    expect([...records.keys()].filter((key) => key.startsWith("out/"))).toEqual([]);
  });
});

describe("a device restored from a back-up", () => {
  async function restored(texts: string[], after: string[]) {
    const world = createWorld();
    const first = await world.start();
    const backup = async () => new Map(world.records);
    const send = async (text: string) => {
      const sending = outcome(first.client.channel(D).send(text));
      await world.clock.settle();
      return sending;
    };
    for (const text of texts) await send(text);
    const records = await backup();
    for (const text of after) await send(text);
    await first.client.close();
    return { ...world, records };
  }

  it("goes on as a new producer when its numbers were used, and drops nothing", async () => {
    const { clock, server, records, start } = await restored(["a"], ["b", "c"]);
    const { client, ids } = await start({ records });
    const sent = ["x", "y"].map((text) => outcome(client.channel(D).send(text)));
    await clock.advance(20_000);
    expect(await Promise.all(sent)).toEqual([4, 5]);
    expect(server.texts(D)).toEqual(["a", "b", "c", "x", "y"]);
    expect(new Set(server.log(D).map(({ producer }) => producer)).size).toBe(2);
    expect(ids.get(D)).toEqual([2, 3, 4, 5]);
  });

  it("does not take the acknowledgement of an equal text of its former life for its own", async () => {
    const { clock, server, records, start } = await restored(["a"], ["ok"]);
    const { client } = await start({ records });
    const sent = outcome(client.channel(D).send("ok"));
    await clock.advance(20_000);
    expect(await sent).toBe(3);
    expect(server.texts(D)).toEqual(["a", "ok", "ok"]);
  });

  it("with a text written before it could catch up: the same", async () => {
    const { clock, server, records, start } = await restored(["a"], ["ok"]);
    server.up = false;
    const { client } = await start({ records });
    const sent = outcome(client.channel(D).send("ok"));
    await clock.settle();
    server.up = true;
    await clock.advance(60_000);
    expect(await sent).toBe(3);
  });

  it("in a channel of which the back-up knows nothing: the same", async () => {
    const { clock, server, records, start } = await restored([], ["ok", "2", "3", "4", "5", "6"]);
    const { client } = await start({ records });
    const sent = outcome(client.channel(D).send("ok"));
    await clock.advance(20_000);
    expect(await sent).toBe(7);
    expect(server.texts(D).filter((text) => text === "ok")).toHaveLength(2);
  });

  it("a number that was kept long ago is found in the log", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    let first = true;
    server.intercept = ({ request, send }, connection) => {
      if (!send || !first) return false;
      first = false;
      server.pushes = false;
      server.post(send);
      server.pushes = true;
      connection.say(refusal(ErrorCode.ALREADY_KEPT, { executed: Executed.YES }), request);
      return true;
    };
    const sent = outcome(client.channel(D).send("a"));
    await clock.advance(20_000);
    expect(await sent).toBe(1);
    expect(await outcomeAfter(clock, client.channel(D).send("b"))).toBe(2);
    expect(server.texts(D)).toEqual(["a", "b"]);
  });

  async function outcomeAfter(clock: { advance(ms: number): Promise<void> }, sending: Promise<{ messageId: number }>) {
    const result = outcome(sending);
    await clock.advance(1_000);
    return result;
  }
});

describe("the connection", () => {
  it("a beat goes every five seconds, and a silent server is left", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    await clock.advance(20_000);
    expect(server.connections).toHaveLength(1);
    expect(server.connection.received.filter(({ heartbeat }) => heartbeat)).toHaveLength(4);
    server.intercept = ({ heartbeat }) => heartbeat !== undefined && heartbeat !== null;
    await clock.advance(12_000);
    expect(client.state.phase).toBe("online");
    await clock.advance(5_000);
    expect(server.connections.length).toBeGreaterThan(1);
  });

  it("a server that is away is tried again, ever more slowly, and found when it is back", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    server.up = false;
    server.connection.cut();
    await clock.advance(60_000);
    const tries = server.requests.filter((request) => request === "POST /v1/tickets").length;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(25);
    server.up = true;
    await clock.advance(15_000);
    expect(client.state.phase).toBe("online");
  });

  it("go away is followed within the time that it says, to the address that it names", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    server.goAway(GoAwayReason.SHUTDOWN, 8_000, "ws://other/");
    await clock.settle();
    expect(client.state).toMatchObject({ phase: "offline" });
    await clock.advance(8_000);
    expect(client.state.phase).toBe("online");
    expect(server.connections).toHaveLength(2);
  });

  it("a log-in that ended stays ended", async () => {
    const { clock, server, records, start } = createWorld();
    const { client } = await start();
    server.goAway(GoAwayReason.SESSION_ENDED);
    await clock.advance(60_000);
    expect(client.state).toEqual({ phase: "loggedOut", reason: "ended" });
    expect(server.connections).toHaveLength(1);
    expect(records.has("login")).toBe(false);
  });

  it("who was replaced by the same device elsewhere keeps quiet until told to connect", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    server.goAway(GoAwayReason.REPLACED);
    await clock.advance(60_000);
    expect(client.state.phase).toBe("replaced");
    await client.connect();
    await clock.settle();
    expect(client.state.phase).toBe("online");
  });

  it("an access token that is about to end is renewed once, and kept before it is used", async () => {
    const { clock, server, records, start } = createWorld();
    const { client } = await start();
    await clock.advance(899_000);
    await Promise.allSettled([client.people.me(), client.people.me()]);
    expect(server.requests.filter((request) => request === "POST /v1/sessions/refresh")).toHaveLength(1);
    expect(records.has("login")).toBe(true);
  });

  it("a token that the server no longer takes is renewed, and the request goes again", async () => {
    const { server, start } = createWorld();
    const { client } = await start();
    let refused = 0;
    server.replies.set("POST /v1/sessions/refresh", () => ({
      status: 200,
      body: { userId: 1, deviceId: 7, accessToken: "b", accessExpiresInS: 900, refreshToken: "r2" },
    }));
    server.replies.set("GET /v1/me", () => {
      refused += 1;
      return refused === 1 ? { status: 401, body: undefined } : { status: 200, body: { userId: 1 } };
    });
    expect(await client.people.me()).toEqual({ userId: 1 });
  });

  it("a refresh token that the server refuses ends the log-in", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    server.replies.set("POST /v1/sessions/refresh", () => ({ status: 401, body: undefined }));
    server.replies.set("POST /v1/tickets", () => ({ status: 401, body: undefined }));
    server.connection.cut();
    await clock.advance(2_000);
    expect(client.state).toEqual({ phase: "loggedOut", reason: "ended" });
  });

  it("a store serves one person", async () => {
    const { server, start } = createWorld();
    const { client } = await start();
    await client.logOut();
    server.replies.set("POST /v1/sessions", () => ({
      status: 201,
      body: { userId: 2, deviceId: 9, accessToken: "x", accessExpiresInS: 900, refreshToken: "y" },
    }));
    await expect(client.logIn({ name: "b", password: "p" })).rejects.toMatchObject({ code: "STORE_OF_ANOTHER" });
  });
});
