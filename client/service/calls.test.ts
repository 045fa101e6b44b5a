import { beforeEach, describe, expect, it } from "vitest";
import { ChannelService, type PostReply } from "../../proto/index.ts";
import { createFakeCluster, type FakeCluster } from "./cluster.test-rig.ts";

let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await createFakeCluster({ callsWaitingMax: 3 });
});

const kept = { reply: { messageId: 7, timeMs: 9 } };
const channel = () => cluster.service.channel("g1");
const announce = (options?: object) => channel().announce({ producer: 5, number: 1, text: "hello" }, options);
/** A call that may not run twice, for all that the client knows. */
const post = (options?: object) =>
  cluster.service
    .actor(ChannelService, "g1")
    .post({ userId: 1, producer: 5, number: 1, content: { text: { text: "hi", replyTo: 0 } } }, options);

/** How a call ended, once time has passed. */
async function ended(call: Promise<PostReply>, passMs = 20_000): Promise<string> {
  const outcome = call.then(
    ({ messageId }) => `ok ${messageId}`,
    (error) => `${error.code}, executed: ${error.executed}`,
  );
  await cluster.clock.advance(passMs);
  return Promise.race([outcome, Promise.resolve("still waits")]);
}

/** Answers in this order; the last one for ever. */
function answers(...list: ReturnType<FakeCluster["answer"]>[]): void {
  let at = 0;
  cluster.answer = () => list[Math.min(at++, list.length - 1)] ?? "silence";
}

describe("a call", () => {
  it("tells the nodes who asks, whom, and how long the answer is wanted", async () => {
    answers(kept);
    expect(await ended(announce({ deadlineMs: 3_000, traceparent: "00-1-2-01" }))).toBe("ok 7");
    expect(cluster.calls).toMatchObject([
      { from: cluster.service.id, service: "Channel", method: "announce", ids: ["g1"], deadlineMs: 3_000, hops: 0 },
    ]);
    expect(cluster.calls[0]?.traceparent).toBe("00-1-2-01");
    expect(cluster.service.id).toMatch(/^svc-bot#[a-z0-9]+$/);
  });

  it("that no node took is sent again until one does", async () => {
    answers("nobody", "nobody", kept);
    expect(await ended(post())).toBe("ok 7");
    expect(cluster.calls).toHaveLength(3);
  });

  it("whose actor has moved is sent again, and its caller does not hear of it", async () => {
    answers(
      { failure: { code: "MOVED", retryable: true } },
      { failure: { code: "SHUTTING_DOWN", retryable: true } },
      kept,
    );
    expect(await ended(post())).toBe("ok 7");
  });

  it("that never ran within its deadline is known not to have run", async () => {
    answers("nobody");
    expect(await ended(post({ deadlineMs: 2_000 }), 2_000)).toBe("DEADLINE_EXCEEDED, executed: no");
  });

  it("that nobody answers ends as unknown at its deadline, and is not sent twice", async () => {
    expect(await ended(post(), 9_999)).toBe("still waits");
    const second = ended(post());
    expect(await second).toBe("DEADLINE_EXCEEDED, executed: maybe");
    expect(cluster.calls).toHaveLength(2);
  });

  it("that nobody answers is sent again when its number makes it count once, and the answer to either counts", async () => {
    const sent = announce();
    await cluster.clock.advance(2_000);
    expect(cluster.calls).toHaveLength(2);
    cluster.reply(cluster.calls[0] as never, ChannelService.methods.announce, { messageId: 7, timeMs: 9 });
    expect(await ended(sent)).toBe("ok 7");
    cluster.reply(cluster.calls[1] as never, ChannelService.methods.announce, { messageId: 7, timeMs: 9 });
    expect(cluster.calls).toHaveLength(2);
  });

  it("that may have run is told as unknown, unless it is one that counts once", async () => {
    const lost = { failure: { code: "SHARD_LOST", retryable: true, executed: 1 } };
    answers(lost, kept);
    expect(await ended(post())).toBe("SHARD_LOST, executed: maybe");
    answers(lost, kept);
    expect(await ended(announce())).toBe("ok 7");
  });

  it("that is refused ends at once, with what the program needs to go on", async () => {
    const detail = '{"expectedNumber":4}';
    answers({ failure: { code: "OUT_OF_ORDER", retryable: true, retryAfterMs: 5, detail } });
    await expect(Promise.all([announce(), cluster.clock.advance(10)])).rejects.toMatchObject({
      code: "OUT_OF_ORDER",
      executed: "no",
      retryable: true,
      retryAfterMs: 5,
      detail: { expectedNumber: 4 },
    });
  });

  it("that is refused after an attempt which nobody answered may have run", async () => {
    answers("silence", { failure: { code: "SERVICE_NOT_ALLOWED" } });
    expect(await ended(announce())).toBe("SERVICE_NOT_ALLOWED, executed: maybe");
  });

  it("whose answer cannot be read ends as unknown", async () => {
    cluster.answer = ({ callId }) => {
      const reply = { callId, payload: new Uint8Array([0xff]) };
      const none = { piece: new Uint8Array(0), piecesBefore: 0, piecesLeft: 0 };
      cluster.receive({ protocol: 1, link: 0, envelopes: [{ reply }], ...none });
      return "silence";
    };
    expect(await ended(post())).toBe("BAD_REPLY, executed: maybe");
  });
});

describe("a caller that gives up", () => {
  it("knows that the call did not run if it never left, and does not know if it did", async () => {
    const giveUp = new AbortController();
    const sent = post({ signal: giveUp.signal });
    const waiting = sent.catch((error) => error);
    await cluster.clock.advance(10);
    giveUp.abort();
    expect(await waiting).toMatchObject({ code: "CANCELLED", executed: "maybe" });
    await expect(post({ signal: giveUp.signal })).rejects.toMatchObject({ code: "CANCELLED", executed: "no" });
    expect(cluster.calls).toHaveLength(1);
  });
});

describe("while the connection is away", () => {
  it("calls wait for it", async () => {
    answers(kept);
    cluster.cut();
    const waiting = post();
    await cluster.clock.advance(3_000);
    expect(cluster.calls).toEqual([]);
    cluster.heal();
    expect(await ended(waiting, 5)).toBe("ok 7");
  });

  it("a call ends at its deadline, and did not run", async () => {
    cluster.cut();
    expect(await ended(post({ deadlineMs: 1_000 }), 1_000)).toBe("DEADLINE_EXCEEDED, executed: no");
  });

  it("answers are lost: what counts once is sent again at once, and the rest ends as unknown", async () => {
    const once = announce();
    const other = post();
    await cluster.clock.advance(10);
    cluster.cut();
    answers(kept);
    cluster.heal();
    expect(await ended(once, 5)).toBe("ok 7");
    expect(await ended(other)).toBe("DEADLINE_EXCEEDED, executed: maybe");
    expect(cluster.calls.map(({ method }) => method)).toEqual(["announce", "post", "announce"]);
  });
});

describe("a service", () => {
  it("that asks more than is answered is told so at once", async () => {
    const three = [post(), post(), post()].map((call) => call.catch(() => undefined));
    await expect(post()).rejects.toMatchObject({ code: "OVERLOADED", executed: "no" });
    await cluster.clock.advance(20_000);
    await Promise.all(three);
    answers(kept);
    expect(await ended(post())).toBe("ok 7");
  });

  it("refuses what is larger than a message may be", async () => {
    const sent = channel().announce({ producer: 5, number: 1, text: "x".repeat(1_000_000) });
    await expect(sent).rejects.toMatchObject({ code: "TOO_LARGE", executed: "no" });
  });

  it("that is closed tells its callers, and takes no more", async () => {
    const waiting = post().catch((error) => error);
    await cluster.service.close();
    expect(await waiting).toMatchObject({ code: "CLOSED", executed: "maybe" });
    await expect(post()).rejects.toMatchObject({ code: "CLOSED", executed: "no" });
  });

  it("reports what it cannot read, and goes on", async () => {
    cluster.receive({
      protocol: 1,
      link: 0,
      envelopes: [],
      piece: new Uint8Array([9]),
      piecesBefore: 0,
      piecesLeft: 0,
    });
    expect(cluster.problems).toEqual(["what a node sent could not be read"]);
    answers(kept);
    expect(await ended(post())).toBe("ok 7");
  });
});
