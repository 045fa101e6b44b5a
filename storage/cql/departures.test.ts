import { describe, expect, it } from "vitest";
import { createVirtualClock } from "../../runtime/index.ts";
import type { Write } from "./client.ts";
import { Departures } from "./departures.ts";

const limits = { togetherAbove: 2, togetherWritesMax: 3, togetherBytesMax: 1_000 };

/** Of the partition with this name, whose first letter is the member that has it. */
function writeOf(name: string, { rows = 1, bytes = 10, awaited = false } = {}): Write {
  const statements = Array.from({ length: rows }, (_, i) => ({ query: `${name}${i || ""}`, params: [] }));
  return { partition: [name], statements, bytes, awaited };
}

/** A ring whose members refuse what `refuses` says, and answer when `answer` is called, or at once. */
function make(refuses: (request: string) => boolean = () => false, inFlight = 100) {
  const clock = createVirtualClock();
  const members = new Map<string, object>();
  const requests: string[] = [];
  const departures = new Departures({
    async send(statements, { routingKey }) {
      const request = statements.map(({ query }) => query).join(" ");
      expect(request.startsWith(`${routingKey}`)).toBe(true);
      requests.push(request);
      if (refuses(request)) throw new Error(`no quorum for ${request}`);
      return request;
    },
    placeOf([name]) {
      if (`${name}`.startsWith("!")) throw new Error("the driver knows no ring");
      return { routingKey: Buffer.from(`${name}`), token: Buffer.from(`${name}`) };
    },
    memberFor({ token }) {
      const member = `${token}`.charAt(0);
      if (member === "?") return undefined;
      const known = members.get(member) ?? {};
      members.set(member, known);
      return known;
    },
    inFlight: () => inFlight,
    limits,
    clock,
  });
  return { clock, departures, requests };
}

describe("writes of one turn", () => {
  it("leave in one request, at the end of the turn, and those of the next turn in another", async () => {
    const { clock, departures, requests } = make();
    const first = ["a1", "a2"].map((name) => departures.leave(writeOf(name)));
    expect(requests).toEqual([]);
    await clock.settle();
    expect(await Promise.all(first)).toEqual(["a1 a2", "a1 a2"]);
    const second = departures.leave(writeOf("a3"));
    await clock.settle();
    await second;
    expect(requests).toEqual(["a1 a2", "a3"]);
    expect(departures.together).toBe(2);
  });

  it("of which somebody waits for some: those leave at once and alone, while little is on its way", async () => {
    const calm = make(undefined, limits.togetherAbove);
    const all = ["a1", "a2"].map((name) => calm.departures.leave(writeOf(name, { awaited: true })));
    expect(calm.requests).toEqual(["a1", "a2"]);
    all.push(calm.departures.leave(writeOf("a3")), calm.departures.leave(writeOf("a4")));
    await calm.clock.settle();
    await Promise.all(all);
    expect(calm.requests).toEqual(["a1", "a2", "a3 a4"]);

    const busy = make(undefined, limits.togetherAbove + 1);
    const both = ["a1", "a2"].map((name) => busy.departures.leave(writeOf(name, { awaited: true })));
    await busy.clock.settle();
    await Promise.all(both);
    expect(busy.requests).toEqual(["a1 a2"]);
  });

  it("leave by the member that has them, and together where nobody knows who has", async () => {
    const { clock, departures, requests } = make();
    const all = ["a1", "b1", "?1", "a2", "?2", "b2"].map((name) => departures.leave(writeOf(name)));
    await clock.settle();
    await Promise.all(all);
    expect(requests).toEqual(["a1 a2", "b1 b2", "?1 ?2"]);
  });

  it("are few in a request, and small: what is full leaves at once, and a large one by itself", async () => {
    const { clock, departures, requests } = make();
    const all = ["a1", "a2", "a3", "a4"].map((name) => departures.leave(writeOf(name)));
    expect(requests).toEqual(["a1 a2 a3"]);
    all.push(departures.leave(writeOf("a5", { bytes: 1_000 })));
    expect(requests).toEqual(["a1 a2 a3", "a5"]);
    all.push(departures.leave(writeOf("a6", { bytes: 900 })));
    expect(requests).toEqual(["a1 a2 a3", "a5", "a4"]);
    await clock.settle();
    await Promise.all(all);
    expect(requests).toEqual(["a1 a2 a3", "a5", "a4", "a6"]);
  });

  it("keep the rows of a partition in one request", async () => {
    const { clock, departures, requests } = make();
    const all = [departures.leave(writeOf("a1", { rows: 2 })), departures.leave(writeOf("a2", { rows: 5 }))];
    await clock.settle();
    await Promise.all(all);
    expect(requests).toEqual(["a1 a11 a2 a21 a22 a23 a24"]);
  });

  it("that fail together leave again, each alone, and fail or succeed for themselves", async () => {
    const { clock, departures, requests } = make((request) => request.includes("a2"));
    const all = ["a1", "a2", "a3"].map((name) => departures.leave(writeOf(name)));
    const outcomes = Promise.allSettled(all);
    await clock.settle();
    expect(
      (await outcomes).map((outcome) => (outcome.status === "fulfilled" ? outcome.value : `${outcome.reason}`)),
    ).toEqual(["a1", "Error: no quorum for a2", "a3"]);
    expect(requests).toEqual(["a1 a2 a3", "a1", "a2", "a3"]);
  });

  it("whose member cannot be told fail for themselves, and not whoever asked", async () => {
    const { clock, departures, requests } = make();
    const all = Promise.allSettled([departures.leave(writeOf("!1")), departures.leave(writeOf("a1"))]);
    await clock.settle();
    expect((await all).map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    expect(requests).toEqual(["a1"]);
  });

  it("that fail alone are not sent again", async () => {
    const { clock, departures, requests } = make(() => true);
    const [one] = await Promise.all([Promise.allSettled([departures.leave(writeOf("a1"))]), clock.settle()]);
    expect(one).toMatchObject([{ status: "rejected" }]);
    expect(requests).toEqual(["a1"]);
  });
});
