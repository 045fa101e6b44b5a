import { connect as connectTcp } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { ClientFrame, ErrorCode, GoAwayReason, HistoryDirection, PresenceState } from "../../proto/index.ts";
import { type Client, createRig, type Rig } from "./server.test-rig.ts";

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});
const start = async (settings: Parameters<typeof createRig>[0] = {}) => {
  rig = await createRig(settings);
  return rig;
};

const say = (channelId: string, number: number, text: string, producer = 7) => ({
  send: { channelId, producer, number, content: { text: { text, replyTo: 0 } } },
});
const errorCode = (client: Client) => client.next((frame) => frame.error != null).then((frame) => frame.error?.code);

describe("two people", () => {
  it("chat over real sockets: ack, delivery, the other device, order", async () => {
    const { join } = await start();
    const [ann, annsPhone, bob] = await Promise.all([join(1, 10), join(1, 11), join(2, 20)]);
    const answer = await ann.ask(say("d1.2", 1, "안녕, Bob"));
    expect(answer.sent).toMatchObject({ channelId: "d1.2", messageId: 1 });
    await bob.ask(say("d1.2", 1, "hello, 앤"));
    for (const client of [ann, annsPhone, bob]) {
      await client.next((frame) => frame.delivery?.entries.some((entry) => entry.messageId === 2) ?? false);
      expect(client.entries("d1.2").map((entry) => [entry.messageId, entry.content?.text?.text])).toEqual([
        [1, "안녕, Bob"],
        [2, "hello, 앤"],
      ]);
    }
  });

  it("are answered before the turn ends, and told the rest when it does", async () => {
    const { join, holdTurns } = await start();
    const [ann, bob] = await Promise.all([join(1), join(2)]);
    const endTurns = holdTurns();
    expect((await ann.ask(say("d1.2", 1, "soon"))).sent).toMatchObject({ messageId: 1 });
    const refused = await ann.ask(say("d1.2", 2, "x".repeat(100_001)));
    expect(refused.error?.code).toBe(ErrorCode.TEXT_TOO_LONG);
    expect(bob.entries("d1.2")).toEqual([]);
    endTurns();
    await bob.next((frame) => frame.delivery != null);
    expect(bob.entries("d1.2").map(({ messageId }) => messageId)).toEqual([1]);
  });

  it("come back with their cursor and get what they missed, and nothing twice", async () => {
    const { join } = await start();
    const ann = await join(1);
    const bob = await join(2);
    await ann.ask(say("d1.2", 1, "one"));
    const seen = await bob.next((frame) => frame.delivery != null);
    bob.socket.close();
    await bob.closed;
    await ann.ask(say("d1.2", 2, "two"));
    const again = await join(2, 20, seen.delivery?.version);
    const caughtUp = again.frames.find((frame) => frame.caughtUp != null);
    expect(again.entries("d1.2").at(-1)?.content?.text?.text).toBe("two");
    const third = await join(2, 20, caughtUp?.caughtUp?.cursor);
    expect(third.frames.filter((frame) => frame.pointer != null)).toEqual([]);
  });

  it("see that the other types, received and read", async () => {
    const { join } = await start();
    const [ann, bob] = await Promise.all([join(1), join(2)]);
    await ann.ask(say("d1.2", 1, "look"));
    bob.send({ request: 0, typing: { channelId: "d1.2", typing: true } });
    expect((await ann.next((frame) => frame.typing != null)).typing).toMatchObject({ userId: 2, typing: true });
    bob.send({ request: 0, ack: { channelId: "d1.2", deliveredId: 1 } });
    await ann.next(
      (frame) => frame.receipts?.receipts.some((one) => one.userId === 2 && one.deliveredId === 1) ?? false,
    );
    await bob.ask({ read: { channelId: "d1.2", readId: 1, ordinal: 1 } });
    await ann.next((frame) => frame.receipts?.receipts.some((one) => one.userId === 2 && one.readId === 1) ?? false);
  });

  it("page through the history, and ask who of a channel is there", async () => {
    const { join, friends } = await start();
    friends.set(2, [1]);
    const ann = await join(1);
    for (let number = 1; number <= 5; number++) await ann.ask(say("d1.2", number, `m${number}`));
    const history = { channelId: "d1.2", anchor: 4, direction: HistoryDirection.BEFORE, limit: 2 };
    const page = (await ann.ask({ history })).page;
    expect(page?.entries.map((entry) => entry.messageId)).toEqual([2, 3]);
    const { presences } = await ann.ask({ presenceQuery: { channelId: "d1.2" } });
    expect(presences?.presences.find((one) => one.userId === 1)?.state).toBe(PresenceState.ONLINE);
    expect(presences?.presences.find((one) => one.userId === 2)?.state).toBe(PresenceState.OFFLINE);
  });
});

describe("a stranger", () => {
  it("who asks in a 1:1 learns nothing of the other, and in a common group does", async () => {
    const { join, refs } = await start();
    const [ann] = await Promise.all([join(1), join(2)]);
    const stateOfBob = async (channelId: string) => {
      const { presences } = await ann.ask({ presenceQuery: { channelId } });
      return presences?.presences.find((one) => one.userId === 2)?.state;
    };
    expect(await stateOfBob("d1.2")).toBe(PresenceState.UNKNOWN);
    const group = { producer: 1, number: 1, title: "yard", memberIds: [2], historyVisible: false };
    await refs.channel("g5").create({ userId: 1, ...group });
    await expect.poll(() => stateOfBob("g5")).toBe(PresenceState.ONLINE);
  });
});

describe("a frame that is wrong", () => {
  it.each([
    ["garbage", new Uint8Array([255, 254, 253, 1, 2, 3])],
    [
      "a truncated frame",
      ClientFrame.encode({ request: 1, ...say("d1.2", 1, "cut off here") })
        .finish()
        .slice(0, -5),
    ],
    ["random bytes", Uint8Array.from({ length: 300 }, (_, at) => (at * 7919) % 251)],
  ])("%s: is told BAD_FRAME, and the socket closes", async (_what, bytes) => {
    const { join } = await start();
    const client = await join(1);
    client.sendBytes(bytes);
    expect(await errorCode(client)).toBe(ErrorCode.BAD_FRAME);
    expect(await client.closed).toBe(1008);
  });

  it("of text instead of bytes is told so", async () => {
    const { join } = await start();
    const client = await join(1);
    client.sendBytes("hello");
    expect(await errorCode(client)).toBe(ErrorCode.BAD_FRAME);
    await client.closed;
  });

  it("too large is told so, and far too large is cut without being held", async () => {
    const { join, connect } = await start({ frameBytesMax: 100_000, cutBytesMax: 200_000 });
    const large = await join(1);
    large.sendBytes(new Uint8Array(150_000));
    expect(await errorCode(large)).toBe(ErrorCode.FRAME_TOO_LARGE);
    await large.closed;
    const huge = await join(1);
    huge.socket.on("error", () => undefined);
    huge.sendBytes(new Uint8Array(5_000_000));
    expect(await huge.closed).not.toBe(1000);
    const stranger = await connect();
    stranger.sendBytes(new Uint8Array(5_000));
    expect(await errorCode(stranger)).toBe(ErrorCode.FRAME_TOO_LARGE);
    await stranger.closed;
  });

  it("with an integer above 2^53 - 1 is refused", async () => {
    const { join } = await start();
    const client = await join(1);
    const answer = await client.ask(say("d1.2", 1, "x", 2 ** 60));
    expect(answer.error).toMatchObject({ code: ErrorCode.BAD_FRAME, executed: 0 });
  });

  it("for a channel whose name is none is refused, and activates nothing", async () => {
    const { join } = await start();
    const client = await join(1);
    for (const name of ["", "x", "d2.1", "g0", "d1.2\0", "g1/../2", "g99999999999999999999"]) {
      expect((await client.ask(say(name, 1, "x"))).error?.code).toBe(ErrorCode.NO_SUCH_CHANNEL);
    }
  });

  it("that comes one byte at a time is not waited for", async () => {
    const { port } = await start({ helloWithinMs: 1_000 });
    const socket = connectTcp(port, "127.0.0.1");
    socket.write(
      "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    const bytes: number[] = [];
    socket.on("data", (chunk) => bytes.push(...chunk));
    await new Promise((resolve) => socket.once("data", resolve)); // switched
    // A frame of 100 bytes that never gets complete: every byte would reset the library's own idle timer.
    socket.write(Buffer.from([0x82, 0x80 | 100, 0, 0, 0, 0]));
    const drip = setInterval(() => socket.write(Buffer.from([0])), 100);
    await new Promise((resolve) => socket.on("close", resolve));
    clearInterval(drip);
    expect(Buffer.from(bytes).toString()).toContain("No complete frame");
  });
});

describe("who may come in", () => {
  it("first says hello, once", async () => {
    const { connect, join } = await start();
    const stranger = await connect();
    stranger.send({ request: 5, ...say("d1.2", 1, "no hello") });
    expect(await errorCode(stranger)).toBe(ErrorCode.HELLO_EXPECTED);
    const twice = await join(1);
    twice.send({ request: 6, hello: { ticket: "1/10/z", cursor: 0, client: "" } });
    expect(await errorCode(twice)).toBe(ErrorCode.HELLO_EXPECTED);
    await Promise.all([stranger.closed, twice.closed]);
  });

  it("comes with a ticket that nobody used", async () => {
    const { connect } = await start();
    const hello = { ticket: "1/10/same", cursor: 0, client: "" };
    const first = await connect();
    first.send({ request: 1, hello });
    await first.next((frame) => frame.welcome != null);
    const second = await connect();
    second.send({ request: 1, hello });
    expect(await errorCode(second)).toBe(ErrorCode.TICKET_USED);
    await second.closed;
    expect(first.socket.readyState).toBe(1);
  });

  it("comes from a page that may, or from no page at all", async () => {
    const { connect } = await start({ origins: ["https://good.example"] });
    await expect(connect({ origin: "https://evil.example" })).rejects.toThrow("403");
    const good = await connect({ origin: "https://good.example" });
    expect(good.socket.readyState).toBe(1);
  });

  it("is one of so many from an address", async () => {
    const { connect } = await start({ connectionsAnAddressMax: 2 });
    const first = await connect();
    await connect();
    await expect(connect()).rejects.toThrow("503");
    first.socket.close();
    await first.closed;
    await expect
      .poll(() =>
        connect().then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
  });

  it("does not say more than it may", async () => {
    const { join } = await start({ framesASecond: 1, framesBurst: 5 });
    const client = await join(1);
    const answers = await Promise.all([1, 2, 3, 4, 5, 6, 7].map((number) => client.ask(say("d1.2", number, "x"))));
    expect(answers.map((answer) => answer.error?.code)).toContain(ErrorCode.TOO_MANY_REQUESTS);
    expect(answers.filter((answer) => answer.sent != null).length).toBeGreaterThan(0);
  });
});

describe("a reader that stops reading", () => {
  it("costs bounded memory, is told to sync when it reads again, and then misses nothing", async () => {
    const { join, sockets } = await start({ highWaterBytes: 65_536, lowWaterBytes: 16_384 });
    const [ann, bob] = await Promise.all([join(1), join(2)]);
    bob.socket.pause();
    const count = 400;
    const text = "x".repeat(30_000);
    for (let number = 1; number <= count; number++) {
      const { sent } = await ann.ask(say("d1.2", number, `${number} ${text}`));
      expect(sent?.messageId).toBe(number);
    }
    expect(sockets.stats().fellBehind).toBe(1);
    expect(sockets.stats().droppedPushes).toBeGreaterThan(0);
    const pushed = bob.entries("d1.2").length;
    bob.socket.resume();
    await bob.next((frame) => frame.syncNeeded != null);
    const have = bob.entries("d1.2").length;
    expect(have).toBeGreaterThanOrEqual(pushed);
    expect(have).toBeLessThan(count);
    const cursor = bob.frames.flatMap((frame) => (frame.delivery ? [frame.delivery.version] : [])).at(-1) ?? 0;
    bob.send({ request: 9, sync: { cursor } });
    await bob.next((frame) => frame.request === 9 && frame.caughtUp != null);
    const ids = new Set(bob.entries("d1.2").map((entry) => entry.messageId));
    for (let below = Math.max(...ids); ids.size < count; ) {
      while (ids.has(below)) below -= 1;
      const history = { channelId: "d1.2", anchor: below + 1, direction: HistoryDirection.BEFORE, limit: 50 };
      for (const entry of (await bob.ask({ history })).page?.entries ?? []) ids.add(entry.messageId);
    }
    expect([...ids].toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, at) => at + 1));
    // And it is fed again.
    await ann.ask(say("d1.2", count + 1, "still with us?"));
    await bob.next((frame) => frame.delivery?.entries.at(-1)?.messageId === count + 1);
  });
});

describe("the end", () => {
  it("of the node is told to every client, with a time to come back", async () => {
    const { join, close } = await start();
    const clients = await Promise.all([join(1), join(2), join(3)]);
    const closing = close();
    rig = undefined;
    for (const client of clients) {
      const { goAway } = await client.next((frame) => frame.goAway != null);
      expect(goAway?.reason).toBe(GoAwayReason.SHUTDOWN);
      expect(await client.closed).toBe(1001);
    }
    await closing;
  });

  it("of a log-in closes its sockets", async () => {
    const { join, refs } = await start();
    const client = await join(1);
    await refs.user("1").endSession({ loginId: "l" });
    expect((await client.next((frame) => frame.goAway != null)).goAway?.reason).toBe(GoAwayReason.SESSION_ENDED);
    await client.closed;
  });

  it("of a log-in keeps out who comes with a ticket from before", async () => {
    const { connect, refs } = await start();
    await refs.user("1").endSession({ loginId: "l" });
    const client = await connect();
    client.send({ request: 1, hello: { ticket: "1/10/before", cursor: 0, client: "test" } });
    const { error } = await client.next((frame) => frame.error != null);
    expect(error?.code).toBe(ErrorCode.UNAUTHENTICATED);
    expect(client.frames.some((frame) => frame.welcome != null)).toBe(false);
    await client.closed;
  });

  it("of one's own session is offline at once", async () => {
    const { join, refs } = await start();
    const client = await join(1);
    client.send({ request: 0, logOut: {} });
    await client.closed;
    const state = async () => (await refs.presence("1").ask({ askerId: 0 })).presence?.state;
    await expect.poll(state).toBe(PresenceState.OFFLINE);
  });
});

describe("a session whose user's actor leaves its node", () => {
  const sessionOf = async (client: Client) =>
    (await client.next((frame) => frame.welcome != null)).welcome?.sessionId as number;

  it("is attached where the actor is then, and told to sync", async () => {
    const { join, reattach } = await start();
    const [ann, bob] = await Promise.all([join(1), join(2)]);
    reattach(await sessionOf(bob));
    await bob.next((frame) => frame.syncNeeded != null);
    await ann.ask(say("d1.2", 1, "are you there?"));
    await bob.next((frame) => frame.delivery != null);
  });

  it("ends if its log-in has ended meanwhile, which the actor had no time to tell", async () => {
    const { join, reattach, endedLogIns } = await start();
    const bob = await join(2);
    endedLogIns.add("l");
    reattach(await sessionOf(bob));
    await bob.closed;
    expect(bob.frames.at(-1)?.goAway?.reason).toBe(GoAwayReason.SESSION_ENDED);
  });
});
