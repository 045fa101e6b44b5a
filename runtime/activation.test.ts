// One actor in memory: its turns, its mailbox, how it comes and goes, its timers.

import { afterEach, describe, expect, it } from "vitest";
import { type AskRequest, PresenceService } from "../proto/index.ts";
import { Later, type Node, runtimeErrors } from "./index.ts";
import { closeRigs, names, notice, reply, rig, value } from "./node.test-rig.ts";

afterEach(closeRigs);

describe("turns", () => {
  it("are one at a time, in the order of arrival", async () => {
    const log: string[] = [];
    const { nodes, until } = await rig(1, (context) => ({
      async watch({ on }) {
        log.push(`start ${on}`);
        await new Promise<void>((resolve) => context.clock.after(10, resolve));
        log.push(`end ${on}`);
        return { presences: [] };
      },
    }));
    const actor = (nodes[0] as Node).references(PresenceService)("1");
    await until(Promise.all([actor.watch({ on: true }), actor.watch({ on: false })]));
    expect(log).toEqual(["start true", "end true", "start false", "end false"]);
  });

  it("end before their reply when the actor answers later", async () => {
    const waiting: Later<{ presences: [] }>[] = [];
    const { nodes, until } = await rig(1, () => ({
      watch() {
        const later = new Later<{ presences: [] }>();
        waiting.push(later);
        if (waiting.length === 3) for (const one of waiting) one.resolve({ presences: [] }); // one commit for three
        return later;
      },
    }));
    const actor = (nodes[0] as Node).references(PresenceService)("1");
    await until(Promise.all([1, 2, 3].map(() => actor.watch({ on: true }))));
    expect(waiting).toHaveLength(3);
  });

  it("of read-only methods run beside each other", async () => {
    let running = 0;
    let most = 0;
    const { ask, until } = await rig(1, (context) => ({
      async ask(_request: AskRequest) {
        running += 1;
        most = Math.max(most, running);
        await new Promise<void>((resolve) => context.clock.after(10, resolve));
        running -= 1;
        return reply(1);
      },
    }));
    await until(Promise.all([ask(0, "1"), ask(0, "1"), ask(0, "1")]));
    expect(most).toBe(3);
  });

  it("that fail fail their caller, not the actor", async () => {
    let calls = 0;
    const { ask, until, activations } = await rig(1, () => ({
      ask() {
        calls += 1;
        if (calls === 1) throw new Error("broken");
        return reply(calls);
      },
    }));
    await expect(until(ask(0, "1"))).rejects.toMatchObject({ code: "INTERNAL", executed: "maybe" });
    expect(value(await until(ask(0, "1")))).toBe(2);
    expect(activations).toHaveLength(1);
  });
});

describe("a mailbox", () => {
  it("is bounded: beyond it callers are told at once, and nothing that was taken is lost", async () => {
    const { nodes, until } = await rig(
      1,
      (context) => ({
        async watch() {
          await new Promise<void>((resolve) => context.clock.after(1, resolve));
          return { presences: [] };
        },
      }),
      { mailboxMessagesMax: 10 },
    );
    const actor = (nodes[0] as Node).references(PresenceService)("1");
    const outcomes = await until(Promise.allSettled(Array.from({ length: 30 }, () => actor.watch({ on: true }))));
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused)
      expect(reason).toMatchObject({ code: "OVERLOADED", executed: "no", retryable: true });
    expect(outcomes.filter((outcome) => outcome.status === "fulfilled").length).toBe(30 - refused.length);
    expect(nodes[0]?.stats()).toMatchObject({ waitingMessages: 0, waitingBytes: 0 });
  });

  it("is bounded in bytes, too", async () => {
    const { nodes, until } = await rig(1, () => ({ watch: () => new Promise(() => {}), report() {} }), {
      mailboxBytesMax: 1_000,
    });
    const node = nodes[0] as Node;
    const actor = node.references(PresenceService)("1");
    void actor.watch({ on: true }, { deadlineMs: 100 }).catch(() => undefined);
    await until(Promise.resolve());
    for (let at = 0; at < 50; at++) actor.report({ ...notice(at), gateway: "x".repeat(200) });
    expect(node.stats().waitingBytes).toBeLessThanOrEqual(1_000);
    expect(node.stats().kinds.Presence?.overloaded).toBeGreaterThan(40);
  });
});

describe("leaving memory", () => {
  it("comes with idleness, after a last chance to write, and the next call finds the actor again", async () => {
    let written = 0;
    const { ask, until, clock, nodes, activations } = await rig(
      1,
      () => ({ ask: () => reply(1), deactivate: () => void (written += 1) }),
      {},
      5_000,
    );
    await until(ask(0, "1"));
    await clock.advance(10_000);
    expect(nodes[0]?.stats().activations).toBe(0);
    expect(written).toBe(1);
    await until(ask(0, "1"));
    expect(activations).toEqual(["n0/1", "n0/1"]);
  });

  it("waits for an actor that does not agree", async () => {
    const { ask, until, clock, nodes } = await rig(
      1,
      () => ({ ask: () => reply(1), canPassivate: () => false }),
      {},
      5_000,
    );
    await until(ask(0, "1"));
    await clock.advance(60_000);
    expect(nodes[0]?.stats().activations).toBe(1);
  });

  it("comes early when there are too many", async () => {
    const settings = { activationsMax: 10 };
    const { ask, until, clock, nodes } = await rig(1, () => ({ ask: () => reply(1) }), settings, 1_000_000);
    await until(Promise.all(names.map((name) => ask(0, name))));
    await clock.advance(5_000);
    expect(nodes[0]?.stats().activations).toBeLessThanOrEqual(10);
  });

  it("keeps mail that comes meanwhile for the next activation", async () => {
    let release = () => {};
    const { ask, until, clock, activations } = await rig(
      1,
      () => ({
        ask: () => reply(1),
        deactivate: () =>
          new Promise<void>((resolve) => {
            release = resolve;
          }),
      }),
      {},
      1_000,
    );
    await until(ask(0, "1"));
    await clock.advance(3_000);
    const during = ask(0, "1");
    await clock.advance(10);
    release();
    expect(value(await until(during))).toBe(1);
    expect(activations).toHaveLength(2);
  });
});

describe("an actor that cannot activate", () => {
  it("fails its callers, is left alone for a while, and then gets another chance", async () => {
    let healthy = false;
    const { ask, until, clock, activations, nodes } = await rig(1, () => {
      if (!healthy) throw new Error("no such data");
      return { ask: () => reply(1) };
    });
    for (const _ of [1, 2, 3]) await expect(until(ask(0, "1"))).rejects.toMatchObject({ code: "INTERNAL" });
    await expect(until(ask(0, "1"))).rejects.toMatchObject({ code: "OVERLOADED" });
    expect(activations).toHaveLength(3);
    expect(nodes[0]?.stats().kinds[PresenceService.name]?.activationFailed).toBe(3);
    healthy = true;
    await clock.advance(31_000);
    expect(value(await until(ask(0, "1")))).toBe(1);
  });

  it("is no failure where its shard was lost meanwhile: nothing has run, and its callers are sent on", async () => {
    let activations = 0;
    const { ask, until, nodes } = await rig(1, () => {
      activations += 1;
      if (activations === 1) throw runtimeErrors.SHARD_LOST();
      return { ask: () => reply(1) };
    });
    expect(value(await until(ask(0, "1")))).toBe(1);
    expect(activations).toBe(2);
    expect(nodes[0]?.stats().kinds[PresenceService.name]?.activationFailed).toBe(0);
  });
});

describe("timers", () => {
  it("run as turns of their actor and die with it", async () => {
    const fired: string[] = [];
    const { ask, until, clock } = await rig(
      1,
      (context) => {
        context.after(1_000, () => void fired.push("early"));
        context.after(60_000, () => void fired.push("late"));
        return { ask: () => reply(1) };
      },
      {},
      5_000,
    );
    await until(ask(0, "1"));
    await clock.advance(100_000);
    expect(fired).toEqual(["early"]);
  });
});
