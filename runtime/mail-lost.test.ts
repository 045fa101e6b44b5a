// What happens when the network loses something between two nodes, or is handed more than fits into one message.

import { afterEach, describe, expect, it } from "vitest";
import { Batch, GatewayService, PresenceService, protobuf, type ReportNotice } from "../proto/index.ts";
import {
  type ActorDefinition,
  createMemoryCluster,
  createNode,
  createVirtualClock,
  defineActor,
  type Handlers,
  type Lifecycle,
  type Node,
  type RuntimeSettings,
  runtimeDefaults,
  seededRandom,
  shardOf,
  silentLogger,
  type VirtualClock,
} from "./index.ts";
import { type Behaviour, openFence, SHARDS, wakeListIn } from "./node.test-rig.ts";
import { laneOf } from "./shard.ts";

const nodes: Node[] = [];
afterEach(() => nodes.splice(0));

async function twoNodes(behave: (node: string, id: string) => Behaviour, settings: Partial<RuntimeSettings> = {}) {
  const clock = createVirtualClock();
  const cluster = createMemoryCluster({ clock, shardCount: SHARDS, networkDelayMs: 1 });
  const seats = ["n0", "n1"].map((name) => ({ name, seat: cluster.join(name, ["actors"]) }));
  const made = seats.map(({ name, seat }) => {
    const definition = defineActor({
      service: PresenceService,
      passivateAfterMs: 60_000,
      activate: (context) => behave(name, context.id) as Handlers<typeof PresenceService> & Lifecycle,
    });
    return createNode({
      nodeId: name,
      settings: { ...runtimeDefaults, shardCount: SHARDS, ...settings },
      clock,
      random: seededRandom(1),
      log: silentLogger,
      ...seat,
      fence: openFence,
      wake: wakeListIn(new Map()),
      actors: [definition as unknown as ActorDefinition],
    });
  });
  nodes.push(...made);
  cluster.spread();
  await clock.advance(10);
  const ownedBy = (name: string) =>
    Array.from({ length: 100 }, (_, at) => String(at)).find(
      (id) => seats[0]?.seat.placement.ownerOf(shardOf(id, SHARDS))?.nodeId === name,
    ) as string;
  return { clock, cluster, a: made[0] as Node, b: made[1] as Node, onA: ownedBy("n0"), onB: ownedBy("n1") };
}

const notice = (gateway: string): ReportNotice => ({ gateway, sessionId: 1, state: 0, lastBeatAgoMs: 0 });

const lanesWithLoss = (node: Node) => node.stats().mail.lanes.flatMap(({ lostIn }, lane) => (lostIn > 0 ? [lane] : []));

/** As an actor of one node pushes to sessions of the other. */
const tellNode = (from: Node, to: Node) =>
  from.references(GatewayService)(to.nodeId).reattach({ sessionId: 1, epoch: 1 });

describe("one-way mail that was lost", () => {
  it("is noticed by the receiver with the next beat, though nothing follows it, and its sender's actors are told", async () => {
    const told: string[] = [];
    const { clock, cluster, a, b, onA, onB } = await twoNodes((node, id) => ({
      report() {},
      mailLost: (isAffected) => void told.push(`${node}/${id}: ${isAffected(onB)} ${isAffected(onA)}`),
    }));
    const lost: string[] = [];
    b.onMailLost((isAffected) => lost.push(`${isAffected(onA)} ${isAffected(onB)}`));
    a.references(PresenceService)(onA).report(notice("")); // so that somebody is there to be told
    a.references(PresenceService)(onB).report(notice(""));
    await clock.advance(50);
    cluster.cut("n0", "n1");
    a.references(PresenceService)(onB).report(notice(""));
    tellNode(a, b);
    await clock.advance(50);
    cluster.heal();
    expect(lost).toEqual([]);
    await clock.advance(1_000);
    expect(lost).toEqual(["true false"]);
    expect(told).toContain(`n0/${onA}: true false`);
    expect(told).toHaveLength(lanesWithLoss(b).length);
    await clock.advance(20_000);
    expect(lost).toHaveLength(1);
    expect(new Set(lanesWithLoss(b))).toEqual(new Set([laneOf(onB), laneOf("n1")]));
  });

  it("is noticed also when the whole link was lost from its beginning, and at once when something follows", async () => {
    const { clock, cluster, a, b } = await twoNodes(() => ({ report() {} }));
    let lost = 0;
    b.onMailLost(() => {
      lost += 1;
    });
    cluster.cut("n0", "n1");
    tellNode(a, b);
    await clock.advance(5);
    cluster.heal();
    tellNode(a, b);
    await clock.advance(5);
    expect(lost).toBe(1);
  });

  it("is told also when an owner is gone, of the actors that it had", async () => {
    const { clock, cluster, b, onA, onB } = await twoNodes(() => ({ report() {} }));
    const affected = new Set<string>();
    b.onMailLost((isAffected) => {
      for (const id of [onA, onB]) if (isAffected(id)) affected.add(id);
    });
    cluster.kill("n0");
    await clock.advance(10);
    expect([...affected]).toEqual([onA]);
    expect(b.epochOf(onA)).toBe(2);
  });

  it("may be what was on its way to a shard that changes hands, and the actors that may have sent it are told", async () => {
    const told = new Set<string>();
    const { clock, cluster, b, onA, onB } = await twoNodes((node, id) => ({
      report() {},
      mailLost: (isAffected) => void told.add(`${node}/${id}: ${isAffected(onA)} ${isAffected(onB)}`),
    }));
    b.references(PresenceService)(onB).report(notice("")); // so that somebody is there to be told
    await clock.advance(10);
    await cluster.move(shardOf(onA, SHARDS), "n1");
    expect([...told]).toEqual([`n1/${onB}: true false`]);
  });
});

describe("a call between two nodes that lost something", () => {
  /** How the call ended, and after how many milliseconds. */
  async function outcomeOf(clock: VirtualClock, asked: Promise<unknown>) {
    const startedMs = clock.monotonicMs();
    const outcome = asked.then(
      () => "answered",
      ({ code, executed }) => `${code} ${executed}`,
    );
    const ended = outcome.then((how) => ({ how, afterMs: clock.monotonicMs() - startedMs }));
    await clock.advance(60_000);
    return ended;
  }
  const settings = { callDeadlineMs: 30_000 };

  it("ends as unknown with the next beat if it was lost itself", async () => {
    const { clock, cluster, a, onB } = await twoNodes(() => ({ ask: () => ({ presence: null }) }), settings);
    cluster.cut("n0", "n1");
    const asked = a.references(PresenceService)(onB).ask({ askerId: 1 });
    asked.catch(() => undefined);
    await clock.advance(5);
    cluster.heal();
    const { how, afterMs } = await outcomeOf(clock, asked);
    expect(how).toBe("UNAVAILABLE maybe");
    expect(afterMs).toBeLessThan(1_100);
  });

  it("ends so if its answer was lost, and is asked once", async () => {
    let runs = 0;
    const ask = async () => {
      runs += 1;
      cluster.cut("n1", "n0");
      return { presence: null };
    };
    const { clock, cluster, a, onB } = await twoNodes(() => ({ ask }), settings);
    const asked = a.references(PresenceService)(onB).ask({ askerId: 1 });
    asked.catch(() => undefined);
    await clock.advance(5);
    cluster.heal();
    const { how, afterMs } = await outcomeOf(clock, asked);
    expect({ how, runs }).toEqual({ how: "UNAVAILABLE maybe", runs: 1 });
    expect(afterMs).toBeLessThan(1_100);
  });

  it("waits for its answer if it is still worked on", async () => {
    let finish: (() => void) | undefined;
    const ask = () =>
      new Promise<{ presence: null }>((resolve) => {
        finish = () => resolve({ presence: null });
      });
    const { clock, cluster, a, b, onB } = await twoNodes(() => ({ ask, report() {} }), settings);
    const asked = a.references(PresenceService)(onB).ask({ askerId: 1 });
    await clock.advance(5);
    cluster.cut("n0", "n1");
    a.references(PresenceService)(onB).report(notice(""));
    await clock.advance(5);
    cluster.heal();
    await clock.advance(5_000);
    expect(b.stats().mail.lanes[laneOf(onB)]?.lostIn).toBe(1);
    finish?.();
    expect((await outcomeOf(clock, asked)).how).toBe("answered");
  });
});

describe("an envelope that is larger than one message of the network", () => {
  it("arrives whole", async () => {
    const got: number[] = [];
    const { clock, a, onB } = await twoNodes(() => ({ report: ({ gateway }) => void got.push(gateway.length) }), {
      mailboxBytesMax: 8_000_000,
    });
    const target = a.references(PresenceService)(onB);
    target.report(notice("x".repeat(3_500_000)));
    target.report(notice("y"));
    await clock.advance(100);
    expect(got).toEqual([3_500_000, 1]);
    expect(a.stats().mail.lanes[laneOf(onB)]?.batchesOut).toBeGreaterThanOrEqual(5);
  });

  it("is refused when it is a call and larger than any envelope may be", async () => {
    const { a, onB } = await twoNodes(() => ({ ask: () => ({ presence: null }) }), { batchBytesMax: 5 });
    const asked = a
      .references(PresenceService)(onB)
      .ask({ askerId: 2 ** 50 });
    await expect(asked).rejects.toMatchObject({ code: "TOO_LARGE", executed: "no" });
  });
});

describe("a service that is no node", () => {
  const call = (from: string, id: string, method = "ask") =>
    Batch.encode({
      protocol: 1,
      link: 0,
      envelopes: [
        {
          call: {
            callId: 9,
            from,
            service: "Presence",
            method,
            ids: [id],
            deadlineMs: 1_000,
            payload: protobuf.Writer.create().finish(),
            traceparent: "",
            hops: 0,
          },
        },
      ],
      piece: new Uint8Array(0),
      piecesBefore: 0,
      piecesLeft: 0,
    }).finish();

  it("is answered by the owner, whichever node it asked, and only for what it may ask", async () => {
    const settings = { servicesAllowed: ["bot:Presence.ask"] };
    const behave = (): Behaviour => ({ ask: () => ({ presence: null }), watch: () => ({ presences: [] }) });
    const { clock, cluster, onA, onB, a } = await twoNodes(behave, settings);
    const answers: string[] = [];
    const seat = cluster.join("svc-bot#1", []);
    seat.transport.open({
      onBatch(_from, _lane, bytes) {
        for (const { reply } of Batch.decode(bytes).envelopes) {
          answers.push(reply?.failure?.code ?? `answered ${reply?.callId}`);
        }
      },
      onRequest() {},
    });
    cluster.request("n0", "bot", call("svc-bot#1", onA));
    await clock.advance(20);
    cluster.request("n0", "bot", call("svc-bot#1", onB));
    await clock.advance(20);
    expect(answers).toEqual(["answered 9", "answered 9"]);
    cluster.request("n0", "bot", call("svc-bot#1", onA, "watch"));
    await clock.advance(20);
    expect(answers.at(-1)).toBe("SERVICE_NOT_ALLOWED");
    cluster.request("n0", "bot", call("svc-other#1", onA)); // under somebody else's name
    cluster.request("n0", "other", call("svc-other#1", onA));
    await clock.advance(20);
    expect(answers).toHaveLength(3);
    expect(a.stats().mail).toMatchObject({ malformed: 1, refused: 2 });
  });

  it("is told that its call did not run when the owner it was passed on to is not there", async () => {
    const settings = { servicesAllowed: ["bot:Presence.ask"] };
    const { clock, cluster, onB, b } = await twoNodes(() => ({ ask: () => ({ presence: null }) }), settings);
    const failures: unknown[] = [];
    cluster.join("svc-bot#1", []).transport.open({
      onBatch(_from, _lane, bytes) {
        for (const { reply } of Batch.decode(bytes).envelopes) failures.push(reply?.failure);
      },
      onRequest() {},
    });
    const closed = b.close(); // and the table still names it
    await clock.advance(100);
    await closed;
    cluster.request("n0", "bot", call("svc-bot#1", onB));
    await clock.advance(20);
    expect(failures).toMatchObject([{ code: "UNAVAILABLE", executed: 0, retryable: true }]);
  });
});
