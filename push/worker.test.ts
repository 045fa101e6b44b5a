import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PushJobKind } from "../proto/index.ts";
import { runtimeErrors } from "../runtime/index.ts";
import type { PushOutcome } from "./provider/port.ts";
import { createRig, ok, unread } from "./worker.test-rig.ts";

let rig: Awaited<ReturnType<typeof createRig>>;
beforeEach(async () => {
  rig = await createRig();
});
afterEach(() => rig.close());

const busy: PushOutcome = { kind: "retry", afterMs: 0, reason: "busy" };

describe("a job", () => {
  it("tells each device of the user, with the number of unread messages", async () => {
    rig.control.registrations = [1, 2].map((deviceId) => ({ deviceId, provider: "test", token: `${deviceId}` }));
    rig.states.set("7/g1", unread({ unread: 4 }));
    await rig.enqueue(rig.job(12));
    expect(rig.sent.map(({ deviceId, ...notification }) => [deviceId, notification])).toMatchObject([
      [1, { kind: "notify", userId: 7, channelId: "g1", messageId: 12, author: 8, unread: 4 }],
      [2, { messageId: 12 }],
    ]);
    expect(rig.running.queue.stats()).toMatchObject({ done: 1, waiting: 0, held: 0 });
  });

  it("that is enqueued twice tells once, also when it comes again after its end", async () => {
    await rig.enqueue(rig.job(1), rig.job(1));
    await rig.clock.advance(1_000);
    await rig.enqueue(rig.job(1));
    await rig.clock.advance(10_000);
    expect(rig.told()).toEqual([1]);
    await rig.clock.advance(20_000);
    await rig.enqueue(rig.job(1, { deviceId: 1 })); // an id of its own, for the device is named
    await rig.clock.advance(10_000);
    expect(rig.told()).toEqual([1, 1]);
  });

  it.each([
    ["read", { readId: 5 }],
    ["acknowledged by a device", { deliveredId: 6 }],
    ["left", { left: true }],
    ["out of sight for who joined again", { visibleFrom: 9 }],
  ])("for what was %s meanwhile tells nobody", async (_what, state) => {
    rig.states.set("7/g1", unread(state));
    await rig.enqueue(rig.job(5));
    await rig.clock.advance(10_000);
    expect(rig.sent).toEqual([]);
    expect(rig.running.worker.stats()).toMatchObject({ needless: 1, sent: 0 });
    expect(rig.running.queue.stats()).toMatchObject({ done: 1, waiting: 0 });
  });

  it("of a user without devices is done", async () => {
    rig.control.registrations = [];
    await rig.enqueue(rig.job(1));
    expect(rig.running.worker.stats()).toMatchObject({ unreachable: 1 });
    expect(rig.running.queue.stats()).toMatchObject({ done: 1, waiting: 0 });
  });

  it("older than a day tells nobody", async () => {
    rig.control.answer = () => busy;
    await rig.enqueue(rig.job(1, { timeMs: rig.clock.wallMs() - 86_400_001 }));
    rig.control.answer = () => ok;
    await rig.clock.advance(60_000);
    expect(rig.sent).toEqual([]);
    expect(rig.running.queue.stats()).toMatchObject({ waiting: 0, held: 0 });
  });
});

describe("a channel that goes on", () => {
  it("is told at once, and then once in collapseMs with its newest message", async () => {
    for (let messageId = 1; messageId <= 10; messageId++) {
      await rig.enqueue(rig.job(messageId));
      await rig.clock.advance(500);
    }
    await rig.clock.advance(10_000);
    expect(rig.sent.map(({ messageId, atMs }) => [messageId, atMs])).toEqual([
      [1, 0],
      [6, 3_000],
      [10, 6_000],
    ]);
    expect(rig.running.worker.stats()).toMatchObject({ sent: 3, collapsed: 7 });
    expect(rig.running.queue.stats()).toMatchObject({ done: 10, waiting: 0 });
  });

  it("does not hold up other channels, or other users", async () => {
    await rig.enqueue(rig.job(1), rig.job(1, { channelId: "g2" }), rig.job(1, { userId: 9 }), rig.job(2));
    expect(rig.sent.map(({ userId, channelId }) => `${userId}/${channelId}`)).toEqual(["7/g1", "7/g2", "9/g1"]);
    await rig.clock.advance(3_000);
    expect(rig.told()).toEqual([1, 1, 1, 2]);
  });

  it("is not told of what was read while its next notification waited", async () => {
    await rig.enqueue(rig.job(1), rig.job(2));
    await rig.clock.advance(1_000);
    rig.states.set("7/g1", unread({ readId: 2, unread: 0 }));
    await rig.clock.advance(10_000);
    expect(rig.told()).toEqual([1]);
  });

  it("is told in order though the provider is slow", async () => {
    let answer = (_outcome: PushOutcome) => {};
    rig.control.answer = () => new Promise((resolve) => (answer = resolve));
    await rig.enqueue(rig.job(1));
    await rig.enqueue(rig.job(3), rig.job(2));
    await rig.clock.advance(5_000);
    rig.control.answer = () => ok;
    answer(ok);
    await rig.clock.advance(5_000);
    expect(rig.told()).toEqual([1, 3]);
  });
});

describe("what was read elsewhere", () => {
  it("is cleared at once, though the channel was told of a moment ago", async () => {
    await rig.enqueue(rig.job(3));
    rig.states.set("7/g1", unread({ readId: 4, unread: 0 }));
    await rig.enqueue(rig.job(4), rig.job(4, { kind: PushJobKind.CLEAR }));
    expect(rig.sent).toMatchObject([
      { kind: "notify", messageId: 3 },
      { kind: "clear", messageId: 4, unread: 0 },
    ]);
    expect(rig.running.worker.stats()).toMatchObject({ needless: 1 });
  });
});

describe("a provider", () => {
  it("that is away is tried again with growing pauses, until it is back", async () => {
    const tries: number[] = [];
    rig.control.answer = () => {
      tries.push(rig.clock.monotonicMs());
      return tries.length < 5 ? busy : ok;
    };
    await rig.enqueue(rig.job(1));
    await rig.clock.advance(600_000);
    expect(rig.told()).toEqual([1]);
    const pauses = tries.slice(1).map((atMs, index) => atMs - (tries[index] as number));
    for (const [index, pauseMs] of pauses.entries()) {
      expect(pauseMs).toBeGreaterThanOrEqual(2_500 * 2 ** index);
      expect(pauseMs).toBeLessThanOrEqual(5_000 * 2 ** index);
    }
  });

  it("that says when to come again is left alone until then", async () => {
    const tries: number[] = [];
    rig.control.answer = () => {
      tries.push(rig.clock.monotonicMs());
      return tries.length === 1 ? { kind: "retry", afterMs: 60_000, reason: "too many" } : ok;
    };
    await rig.enqueue(rig.job(1));
    await rig.clock.advance(120_000);
    expect(tries).toEqual([0, 60_000]);
  });

  it("that stays away makes a dead letter, with the reason, after attemptsMax tries", async () => {
    let tries = 0;
    rig.control.answer = () => {
      tries += 1;
      return busy;
    };
    await rig.enqueue(rig.job(1));
    await rig.clock.advance(5_000_000);
    expect(tries).toBe(8);
    expect(await rig.running.queue.deadLetters(5)).toMatchObject([
      { reason: "busy", attempts: 8, job: { messageId: 1 } },
    ]);
    expect(rig.running.queue.stats()).toMatchObject({ waiting: 0, held: 0, dead: 1 });
  });

  it("that hangs is told to stop, and is tried again; one that throws likewise", async () => {
    let signal: AbortSignal | undefined;
    rig.control.answer = (_registration, _notification, given) => {
      signal = given;
      return new Promise(() => {});
    };
    await rig.enqueue(rig.job(1));
    await rig.clock.advance(10_000);
    expect(signal?.aborted).toBe(true);
    rig.control.answer = () => {
      throw new Error("broken");
    };
    await rig.clock.advance(6_000);
    rig.control.answer = () => ok;
    await rig.clock.advance(30_000);
    expect(rig.told()).toEqual([1]);
    expect(rig.running.worker.stats()).toMatchObject({ retried: 2 });
  });

  it("that will never take a notification makes a dead letter at once", async () => {
    rig.control.answer = () => ({ kind: "failed", reason: "payload refused" });
    await rig.enqueue(rig.job(1));
    expect(await rig.running.queue.deadLetters(5)).toMatchObject([{ reason: "payload refused", attempts: 1 }]);
  });

  it("that says a device is gone has its registration removed, and nothing is tried again", async () => {
    rig.control.registrations = [1, 2].map((deviceId) => ({ deviceId, provider: "test", token: `${deviceId}` }));
    rig.control.answer = ({ deviceId }) => (deviceId === 1 ? { kind: "dead" } : ok);
    await rig.enqueue(rig.job(1));
    await rig.clock.advance(60_000);
    expect(rig.removed.map(({ deviceId }) => deviceId)).toEqual([1]);
    expect(rig.sent.map(({ deviceId }) => deviceId)).toEqual([2]);
    expect(rig.running.worker.stats()).toMatchObject({ deadTokens: 1, retried: 0 });
  });

  it("of one device being away does not tell the other devices again", async () => {
    rig.control.registrations = [1, 2].map((deviceId) => ({ deviceId, provider: "test", token: `${deviceId}` }));
    rig.control.answer = ({ deviceId }) => (deviceId === 1 && rig.clock.monotonicMs() < 60_000 ? busy : ok);
    await rig.enqueue(rig.job(1));
    await rig.clock.advance(300_000);
    expect(rig.sent.map(({ deviceId, messageId }) => [deviceId, messageId])).toEqual([
      [2, 1],
      [1, 1],
    ]);
    expect(rig.running.queue.stats()).toMatchObject({ waiting: 0, held: 0 });
  });
});

describe("a job that is tried again", () => {
  it("gives way to one for a newer message, which another worker may have told", async () => {
    rig.control.answer = () => busy;
    await rig.enqueue(rig.job(1), rig.job(1, { userId: 9 }));
    rig.control.answer = () => ok;
    rig.states.set("7/g1", unread({ pushedId: 2 }));
    await rig.clock.advance(60_000);
    expect(rig.sent.map(({ userId }) => userId)).toEqual([9]);
    expect(rig.running.worker.stats()).toMatchObject({ collapsed: 1 });
  });
});

describe("a user whose actor cannot be asked", () => {
  it("is told later, if that is still needed then", async () => {
    rig.control.ask = async () => {
      throw runtimeErrors.UNAVAILABLE();
    };
    await rig.enqueue(rig.job(1), rig.job(1, { userId: 9 }));
    await rig.clock.advance(4_900);
    expect(rig.sent).toEqual([]);
    rig.control.ask = async (userId) => unread(userId === 9 ? { readId: 1 } : {});
    await rig.clock.advance(60_000);
    expect(rig.sent.map(({ userId }) => userId)).toEqual([7]);
  });
});

describe("a worker that stops", () => {
  it("finishes what it has begun, and gives back what it has not", async () => {
    let answer = (_outcome: PushOutcome) => {};
    rig.control.answer = () => new Promise((resolve) => (answer = resolve));
    await rig.enqueue(rig.job(1));
    await rig.enqueue(rig.job(2)); // waits behind the first
    const closing = rig.running.worker.close();
    await rig.clock.advance(10);
    rig.control.answer = () => ok;
    answer(ok);
    await closing;
    expect(rig.told()).toEqual([1]);
    await rig.restart("stop");
    await rig.clock.advance(10_000);
    expect(rig.told()).toEqual([1, 2]);
    expect(rig.running.queue.stats()).toMatchObject({ waiting: 0, held: 0 });
  });
});

describe("many jobs at once", () => {
  it("never ask more of a provider than sendsAtOnceMax, and are all told", async () => {
    let now = 0;
    let most = 0;
    rig.control.answer = async () => {
      most = Math.max(most, ++now);
      await new Promise<void>((resolve) => rig.clock.after(100, resolve));
      now -= 1;
      return ok;
    };
    await rig.enqueue(...Array.from({ length: 500 }, (_, index) => rig.job(1, { userId: index + 1 })));
    await rig.clock.advance(2_000);
    expect(most).toBe(64);
    expect(new Set(rig.sent.map(({ userId }) => userId)).size).toBe(500);
  });
});
