// Nodes among each other: calls, shards that move, nodes that die, mail for many, strangers.

import { afterEach, describe, expect, it } from "vitest";
import { Batch, type MethodDescriptor, type PresenceReply, PresenceService } from "../proto/index.ts";
import {
  type ActorDefinition,
  createMemoryCluster,
  createNode,
  createVirtualClock,
  defineActor,
  type Handlers,
  type Node,
  noTracer,
  runtimeDefaults,
  runtimeErrors,
  seededRandom,
  shardOf,
  silentLogger,
  type Tracer,
} from "./index.ts";
import {
  type Behaviour,
  closeRigs,
  inLanes,
  names,
  notice,
  openFence,
  reply,
  rig,
  SHARDS,
  value,
  wakeListIn,
} from "./node.test-rig.ts";

afterEach(closeRigs);

describe("a call", () => {
  it("finds its actor on whichever node it lives, from whichever node it comes", async () => {
    const { ask, until, activations } = await rig(3, (context) => ({ ask: () => reply(Number(context.id)) }));
    for (const node of [0, 1, 2]) {
      const answers = await until(Promise.all(names.map((name) => ask(node, name))));
      expect(answers.map(value)).toEqual(names.map(Number));
    }
    expect(activations.length).toBe(names.length);
    expect(new Set(activations.map((one) => one.split("/")[0])).size).toBe(3);
  });

  it("on the same node is handed over as it is, not encoded", async () => {
    const answer = reply(1);
    const seen: unknown[] = [];
    const { nodes, until, ownerOf } = await rig(1, () => ({
      ask: () => answer,
      report: (request) => void seen.push(request),
    }));
    const actor = (nodes[0] as Node).references(PresenceService)("1");
    const request = notice(5);
    actor.report(request);
    expect(await until(actor.ask({ askerId: 0 }))).toBe(answer);
    expect(seen[0]).toBe(request);
    expect(ownerOf("1")).toBe("n0");
    expect(inLanes(nodes[0], "batchesOut")).toEqual(new Array(8).fill(0));
  });

  it("brings the actor's own error to the caller over the wire, with its code and its facts", async () => {
    const { ask, until } = await rig(2, () => ({
      ask() {
        throw runtimeErrors.OVERLOADED({ retryAfterMs: 77, detail: { shoe: 42 } });
      },
    }));
    for (const node of [0, 1]) {
      await expect(until(ask(node, "1"))).rejects.toMatchObject({
        code: "OVERLOADED",
        retryAfterMs: 77,
        detail: { shoe: 42 },
        executed: "no",
      });
    }
  });

  it("ends as unknown when its deadline passes while the actor works, and as not executed while it waits", async () => {
    const { ask, until } = await rig(1, () => ({
      report: () => new Promise(() => {}),
      ask: () => new Promise(() => {}),
    }));
    await expect(until(ask(0, "1", { deadlineMs: 100 }))).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      executed: "maybe",
    });
    const stuck = await rig(1, () => ({ watch: () => new Promise(() => {}), ask: () => reply(1) }));
    const actor = (stuck.nodes[0] as Node).references(PresenceService)("1");
    const first = actor.watch({ on: true }, { deadlineMs: 500 }); // a turn that never ends
    const behind = actor.watch({ on: true }, { deadlineMs: 100 });
    await expect(stuck.until(behind)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED", executed: "no" });
    await expect(stuck.until(first)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED", executed: "maybe" });
  });

  it("can be given up, and then is not started", async () => {
    let started = 0;
    let finish = () => {};
    const { nodes, until, clock } = await rig(2, () => ({
      watch: () =>
        new Promise((resolve) => {
          started += 1;
          finish = () => resolve({ presences: [] });
        }),
    }));
    for (const node of nodes) {
      started = 0;
      const actor = node.references(PresenceService)("1");
      const first = actor.watch({ on: true });
      await clock.advance(50);
      const giveUp = new AbortController();
      const second = actor.watch({ on: true }, { signal: giveUp.signal });
      await clock.advance(50);
      giveUp.abort();
      await expect(until(second)).rejects.toMatchObject({ code: "CANCELLED" });
      await clock.advance(50);
      finish();
      await until(first);
      await clock.advance(50);
      expect(started).toBe(1);
    }
  });

  it("ends as unknown when the network swallows it, within its deadline", async () => {
    const { ask, until, cluster, ownerOf } = await rig(2, () => ({ ask: () => reply(1) }));
    const away = ownerOf("1") === "n0" ? 1 : 0;
    cluster.cut(`n${away}`, `n${1 - away}`);
    await expect(until(ask(away, "1", { deadlineMs: 300 }))).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      executed: "maybe",
    });
  });
});

describe("when a shard moves", () => {
  it("calls under way finish or follow; none runs twice and none is lost", async () => {
    const ran = new Map<number, number>();
    const { nodes, until, cluster, clock, ownerOf, activations } = await rig(3, (context) => ({
      async watch() {
        await new Promise<void>((resolve) => context.clock.after(7, resolve));
        return { presences: [] };
      },
      subscribe({ watcherId }) {
        ran.set(watcherId, (ran.get(watcherId) ?? 0) + 1);
        return reply(watcherId);
      },
    }));
    const from = ownerOf("1");
    const to = ["n0", "n1", "n2"].find((name) => name !== from) as string;
    const calls: Promise<PresenceReply>[] = [];
    let number = 0;
    const send = () => {
      for (const node of nodes) {
        number += 1;
        const actor = node.references(PresenceService)("1");
        if (number % 5 === 0) void actor.watch({ on: true }).catch(() => undefined);
        calls.push(actor.subscribe({ watcherId: number, leaseMs: 0 }));
      }
    };
    for (let step = 0; step < 10; step++) {
      send();
      await clock.advance(2);
    }
    const moved = cluster.move(shardOf("1", SHARDS), to);
    for (let step = 0; step < 20; step++) {
      send();
      await clock.advance(2);
    }
    await until(moved);
    const answers = await until(Promise.all(calls));
    expect(answers.map(value)).toEqual(calls.map((_, at) => at + 1));
    expect([...ran.values()].filter((times) => times !== 1)).toEqual([]);
    expect(ran.size).toBe(number);
    expect(new Set(activations)).toEqual(new Set([`${from}/1`, `${to}/1`]));
  });

  it("what an actor reads ahead is read while its shard is claimed; it comes up after both, and knows what for", async () => {
    const clock = createVirtualClock();
    const cluster = createMemoryCluster({ clock, shardCount: SHARDS, networkDelayMs: 1 });
    const order: string[] = [];
    const after = (delayMs: number, what: string) =>
      new Promise<void>((resolve) => {
        clock.after(delayMs, () => {
          order.push(what);
          resolve();
        });
      });
    const definition = defineActor({
      service: PresenceService,
      passivateAfterMs: 60_000,
      async readAhead(id) {
        order.push(`reads ahead of ${id}`);
        await after(50, "has read");
        return "what was read";
      },
      async activate({ activatedFor }, ahead) {
        order.push(`${activatedFor} by ${ahead}`);
        return { ask: () => reply(1) } as unknown as Handlers<typeof PresenceService>;
      },
    });
    const node = createNode({
      nodeId: "n0",
      settings: { ...runtimeDefaults, shardCount: SHARDS },
      clock,
      random: seededRandom(7),
      log: silentLogger,
      ...cluster.join("n0", ["actors"]),
      fence: { ...openFence, claim: () => after(100, "is claimed") },
      wake: wakeListIn(new Map()),
      actors: [definition as unknown as ActorDefinition],
      tracer: noTracer,
    });
    cluster.spread();
    const answer = node.references(PresenceService)("1").ask({ askerId: 0 });
    await clock.advance(200);
    await answer;
    const claims = order.filter((what) => what === "is claimed");
    expect(order.filter((what) => what !== "is claimed")).toEqual([
      "reads ahead of 1",
      "has read",
      "ask by what was read",
    ]);
    expect(claims).toHaveLength(SHARDS);
    expect(order.indexOf("ask by what was read")).toBeGreaterThan(order.indexOf("is claimed"));
    expect(order.indexOf("has read")).toBeLessThan(order.indexOf("is claimed"));
    await node.close();
  });

  it("an actor that comes up while its shard leaves runs nothing there", async () => {
    const neighbour = names.find((id) => id !== "1" && shardOf(id, SHARDS) === shardOf("1", SHARDS)) as string;
    const ran: string[] = [];
    const { ask, cluster, clock, ownerOf } = await rig(2, async (context, node) => {
      if (context.id === neighbour) await new Promise<void>((resolve) => context.clock.after(500, resolve));
      return {
        ask() {
          ran.push(`${node}/${context.id}`);
          return reply(1);
        },
        // So that the shard is still on its way when the other one is up.
        deactivate: () => new Promise<void>((resolve) => context.clock.after(1_000, resolve)),
      };
    });
    const from = ownerOf("1");
    const to = from === "n0" ? "n1" : "n0";
    void ask(0, "1");
    await clock.advance(10);
    const answered = ask(0, neighbour);
    await clock.advance(10);
    const moved = cluster.move(shardOf("1", SHARDS), to);
    await clock.advance(2_000);
    await moved;
    await answered;
    expect(ran).toEqual([`${from}/1`, `${to}/${neighbour}`]);
  });

  it("calls that were turned away go out again as soon as the new owner is known, in their order", async () => {
    const answered: number[] = [];
    const { nodes, cluster, clock, ownerOf } = await rig(3, (context) => ({
      subscribe: ({ watcherId }) => reply(watcherId),
      deactivate: () => new Promise<void>((resolve) => context.clock.after(1_000, resolve)),
    }));
    const [from, to, other] = [ownerOf("1"), ...["n0", "n1", "n2"].filter((name) => name !== ownerOf("1"))];
    const caller = nodes[Number(other?.slice(1))]?.references(PresenceService)("1");
    const call = async (watcherId: number) => {
      await caller?.subscribe({ watcherId, leaseMs: 0 });
      answered.push(watcherId);
    };
    void call(0);
    await clock.advance(10);
    const moved = cluster.move(shardOf("1", SHARDS), to as string);
    for (const watcherId of [1, 2, 3]) {
      void call(watcherId);
      await clock.advance(200);
    }
    await clock.advance(399);
    expect([ownerOf("1"), answered]).toEqual([from, [0]]);
    await clock.advance(1);
    await moved;
    expect(ownerOf("1")).toBe(to);
    await clock.advance(2); // there and back
    expect(answered).toEqual([0, 1, 2, 3]);
  });
});

describe("when a node dies", () => {
  it("its actors come back on another", async () => {
    const { ask, until, cluster, ownerOf, activations } = await rig(3, (context) => ({
      ask: () => reply(Number(context.id)),
    }));
    await until(Promise.all(names.map((name) => ask(0, name))));
    const victims = names.filter((name) => ownerOf(name) === "n2");
    expect(victims.length).toBeGreaterThan(0);
    cluster.kill("n2");
    const answers = await until(Promise.all(victims.map((name) => ask(0, name))));
    expect(answers.map(value)).toEqual(victims.map(Number));
    for (const name of victims)
      expect(activations.some((one) => one !== `n2/${name}` && one.endsWith(`/${name}`))).toBe(true);
  });

  it("calls that it had taken end as unknown, and are not tried again by themselves", async () => {
    let runs = 0;
    const { nodes, until, cluster, ownerOf, clock } = await rig(2, () => ({
      watch() {
        runs += 1;
        return new Promise(() => {});
      },
    }));
    const victim = ownerOf("1");
    const other = nodes.find((node) => node.nodeId !== victim) as Node;
    const call = other.references(PresenceService)("1").watch({ on: true });
    await clock.advance(20);
    cluster.kill(victim);
    await expect(until(call)).rejects.toMatchObject({ code: "UNAVAILABLE", executed: "maybe" });
    expect(runs).toBe(1);
  });

  it("actors on the wake list are woken without anybody calling them, until they say that nothing is unfinished", async () => {
    const finish: (() => void)[] = [];
    const { nodes, until, cluster, ownerOf, activations, clock, wakeRows } = await rig(2, (context) => {
      context.setUnfinished(context.epoch > 1);
      if (context.epoch > 1) finish.push(() => context.setUnfinished(false));
      return {
        async watch() {
          await context.wakeOnFailover();
          return { presences: [] };
        },
      };
    });
    const victim = ownerOf("1");
    const survivor = nodes.find((node) => node.nodeId !== victim) as Node;
    await until(survivor.references(PresenceService)("1").watch({ on: true }));
    cluster.kill(victim);
    await clock.advance(2_000);
    expect(activations).toContain(`${survivor.nodeId}/1`);
    expect([...wakeRows.values()].flat()).toHaveLength(1);
    for (const one of finish) one();
    await clock.advance(5_000);
    expect([...wakeRows.values()].flat()).toEqual([]);
  });
});

describe("multicast", () => {
  it("reaches each actor once, in one batch a node and lane, wherever they live", async () => {
    const got: string[] = [];
    const { nodes, clock } = await rig(3, (context) => ({ report: () => void got.push(context.id) }));
    (nodes[0] as Node).references(PresenceService).many(names).report(notice(1));
    await clock.advance(100);
    expect(got.toSorted()).toEqual(names.toSorted());
    expect(Math.max(...inLanes(nodes[0], "batchesOut"))).toBe(2);
  });
});

describe("a traced turn", () => {
  it("carries a span of its own, also where one message lies in many mailboxes", async () => {
    const spans: string[] = [];
    const tracer: Tracer = {
      start(name, parent) {
        const traceparent = `${parent}/${name}:${spans.length}`;
        spans.push(traceparent);
        return { traceparent, end() {} };
      },
    };
    const seen: string[] = [];
    const behave = (): Behaviour => ({ report: (_notice, { traceparent }) => void seen.push(traceparent) });
    const { nodes, clock } = await rig(2, behave, {}, 60_000, tracer);
    (nodes[0] as Node).references(PresenceService).many(names).report(notice(1), "root");
    await clock.advance(100);
    expect(seen).toHaveLength(names.length);
    expect(seen.toSorted()).toEqual(spans.toSorted());
    expect(spans.every((span) => /^root\/Presence\.report:\d+$/.test(span))).toBe(true);
  });
});

describe("bytes from strangers", () => {
  it("are counted and dropped", async () => {
    const { nodes, clock, cluster } = await rig(2, () => ({ ask: () => reply(1) }));
    const stranger = cluster.join("stranger", ["actors"]);
    for (const bytes of [new Uint8Array([255, 255, 255]), new Uint8Array(0), new Uint8Array(1_000).fill(8)]) {
      stranger.transport.send("n0", 0, bytes, () => {});
    }
    await clock.advance(50);
    expect(nodes[0]?.stats().mail.malformed).toBe(3);
  });

  it("are not acted upon when they can be read, and a call among them is told that it did not run", async () => {
    let asked = 0;
    const { nodes, clock, cluster } = await rig(2, () => ({ ask: () => reply(++asked), report: () => void asked++ }));
    const failures: unknown[] = [];
    const stranger = cluster.intrude("ghost#1");
    stranger.open({
      onBatch(_from, _lane, bytes) {
        for (const envelope of Batch.decode(bytes).envelopes) failures.push(envelope.reply?.failure);
      },
      onRequest() {},
    });
    const { ask, report } = PresenceService.methods;
    const call = (callId: number, method: MethodDescriptor, request: unknown) => ({
      call: {
        callId,
        from: "ghost#1",
        service: "Presence",
        method: method.name,
        ids: ["1"],
        deadlineMs: 1_000,
        payload: method.request.encode(request).finish(),
        traceparent: "",
        hops: 0,
      },
    });
    const envelopes = [call(7, ask, { askerId: 0 }), call(0, report, notice(1))];
    const whole = { protocol: 1, link: 5, envelopes, piece: new Uint8Array(0), piecesBefore: 0, piecesLeft: 0 };
    for (const to of ["n0", "n1", "n0"]) stranger.send(to, 0, Batch.encode(whole).finish(), () => {});
    await clock.advance(50);
    expect(asked).toBe(0);
    expect(failures).toMatchObject(
      Array.from({ length: 3 }, () => ({ code: "UNAVAILABLE", executed: 0, retryable: true })),
    );
    expect(nodes.map((node) => node.stats().mail.strangers)).toEqual([2, 1]);
    for (const node of nodes) expect(Math.max(...inLanes(node, "lostIn"))).toBe(0);
  });
});
