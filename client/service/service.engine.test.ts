import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ChannelService, UserService } from "../../proto/index.ts";
import { systemClock as clock, pause } from "../../runtime/index.ts";
import { createService, newProducer, PresenceState, type Service, type ServiceError } from "./index.ts";
import { type Nodes, openWay, startNodes } from "./nodes.test-rig.ts";

const url = process.env.NATS_URL ?? "";
const methods = ["announce", "history", "describe", "follow", "unfollow", "post"];
const allowed = [...methods.map((method) => `bot:Channel.${method}`), "bot:Presence.ask"];

let nodes: Nodes;
beforeAll(async () => {
  nodes = await startNodes({ url, allowed });
});
afterAll(() => nodes?.close());

const open = (name = "bot", through = url): Promise<Service> =>
  createService({ url: through, cluster: nodes.cluster, name });

let channelId = "";
let lastGroup = 0;
beforeEach(() => {
  lastGroup += 1;
  channelId = `d1.${100 + lastGroup}`;
});
const upTo = (last: number) => Array.from({ length: last }, (_, at) => at + 1);

/** Waits until it holds. */
async function until(holds: () => boolean, withinMs = 15_000): Promise<void> {
  const deadlineMs = clock.monotonicMs() + withinMs;
  while (!holds() && clock.monotonicMs() < deadlineMs) await pause(clock, 10);
  expect(holds()).toBe(true);
}

describe("a service", () => {
  it("announces once, however often it says the same, also in its next life", async () => {
    await nodes.post(channelId, 1, 1, "hello");
    const announcement = { producer: newProducer(), number: 1, text: "Maintenance at ten." };
    const first = await open();
    const kept = await first.channel(channelId).announce(announcement);
    expect(await first.channel(channelId).announce(announcement)).toEqual(kept);
    await first.close();
    const second = await open();
    expect(await second.channel(channelId).announce(announcement)).toEqual(kept);
    await second.channel(channelId).announce({ ...announcement, number: 2, text: "It is over." });
    const { entries, lastId } = await second.channel(channelId).history({ after: 0 });
    expect(entries.map(({ content }) => content?.text?.text ?? content?.system?.text)).toEqual([
      "hello",
      "Maintenance at ten.",
      "It is over.",
    ]);
    expect(lastId).toBe(3);
    await second.close();
  });

  it("is refused what it may not call, what does not exist, and a number that skips one", async () => {
    await nodes.post(channelId, 1, 1, "hello");
    const service = await open();
    const refused = { executed: "no", retryable: false };
    await expect(service.actor(UserService, "1").inbox({ afterVersion: 0, limit: 1 })).rejects.toMatchObject({
      ...refused,
      code: "SERVICE_NOT_ALLOWED",
    });
    const announce = (id: string, number: number) => service.channel(id).announce({ producer: 9, number, text: "x" });
    await expect(announce("g404", 1)).rejects.toMatchObject({ ...refused, code: "NO_SUCH_CHANNEL" });
    await expect(announce(channelId, 5)).rejects.toMatchObject({ code: "OUT_OF_ORDER", detail: { expectedNumber: 1 } });
    await service.close();
    const stranger = await open("stranger");
    await expect(stranger.presence(1).ask()).rejects.toMatchObject({ ...refused, code: "SERVICE_NOT_ALLOWED" });
    await stranger.close();
  });

  it("reads whether a user is there, whichever node knows it", async () => {
    const service = await open();
    const users = upTo(12).map((n) => 7_000 + n);
    const owners = new Set(users.map((userId) => nodes.ownerOf(String(userId))));
    expect(owners.size).toBe(3);
    nodes.beat(users[0] as number);
    await pause(clock, 50);
    const states = await Promise.all(users.map((userId) => service.presence(userId).ask()));
    expect(states.map(({ state }) => state)).toEqual(
      users.map((_, at) => (at === 0 ? PresenceState.ONLINE : PresenceState.OFFLINE)),
    );
    await service.close();
  });

  it("gets a page of history that is larger than one message of NATS", async () => {
    const long = "漢".repeat(68_400); // a page of them is above what NATS takes at once
    for (const number of upTo(6)) await nodes.post(channelId, 1, number, long);
    const service = await open();
    const { entries } = await service.channel(channelId).history({ after: 0 });
    const bytes = entries.reduce((sum, { content }) => sum + Buffer.byteLength(content?.text?.text ?? ""), 0);
    expect(bytes).toBeGreaterThan(1_000_000);
    expect(entries.map(({ messageId }) => messageId)).toEqual(upTo(6));
    await service.close();
  });

  it("whose cluster has no nodes learns within its deadline that the call did not run", async () => {
    const service = await createService({ url, cluster: `${nodes.cluster}-empty`, name: "bot" });
    const startedMs = clock.monotonicMs();
    const error = await service
      .presence(1)
      .ask({ deadlineMs: 700 })
      .catch((thrown: ServiceError) => thrown);
    expect(error).toMatchObject({ code: "DEADLINE_EXCEEDED", executed: "no" });
    expect(clock.monotonicMs() - startedMs).toBeLessThan(1_000);
    await service.close();
  });

  it("is told which server does not answer, and no password", async () => {
    const failed = createService({ url: "nats://bot:secret@127.0.0.1:1", cluster: "yard", name: "bot" });
    await expect(failed).rejects.toMatchObject({ code: "NATS_UNREACHABLE", retryable: true });
    await expect(failed).rejects.toThrow(/127\.0\.0\.1:1/);
    await expect(failed).rejects.not.toThrow(/secret/);
    await expect(createService({ url, cluster: "yard", name: "a.b" })).rejects.toMatchObject({ code: "BAD_NAME" });
  });
});

describe("who follows a channel", () => {
  it("is given each entry once and in order, while its owner changes as planned, unplanned, and by dying", async () => {
    const service = await createService({
      url,
      cluster: nodes.cluster,
      name: "bot",
      settings: { followRenewMs: 500 },
    });
    const given: number[] = [];
    const texts: string[] = [];
    await nodes.post(channelId, 1, 1, "m1");
    const following = service.channel(channelId).follow(0, (entries) => {
      given.push(...entries.map(({ messageId }) => messageId));
      texts.push(...entries.map(({ content }) => content?.text?.text ?? ""));
    });
    let last = 1;
    let enough = false;
    const posting = (async () => {
      while (!enough) {
        last += 1;
        await nodes.post(channelId, 1, last, `m${last}`);
        await pause(clock, 5);
      }
    })();
    const other = () => nodes.alive.find((name) => name !== nodes.ownerOf(channelId)) as string;
    for (let round = 0; round < 3; round++) {
      await pause(clock, 300);
      await nodes.move(channelId, other());
      await pause(clock, 300);
      nodes.seize(channelId, other());
    }
    await pause(clock, 300);
    const dying = nodes.ownerOf(channelId);
    await nodes.kill(dying);
    await pause(clock, 1_000);
    expect(nodes.ownerOf(channelId)).not.toBe(dying);
    enough = true;
    await posting;
    await until(() => following.lastId >= last);
    expect(given).toEqual(upTo(last));
    expect(texts).toEqual(upTo(last).map((n) => `m${n}`));
    expect(last).toBeGreaterThan(20);
    await service.close();
  });
});

describe("while NATS is cut again and again", () => {
  it("every call ends as ok, refused or unknown within its deadline, what was announced is kept once, and following goes on", async () => {
    const way = await openWay(url);
    const service = await open("bot", way.url);
    await nodes.post(channelId, 1, 1, "m1");
    const given: number[] = [];
    const following = service.channel(channelId).follow(0, (entries) => {
      given.push(...entries.map(({ messageId }) => messageId));
    });
    const deadlineMs = 1_500;
    const ends = { ok: 0, refused: 0, unknown: 0, late: 0 };
    let enough = false;
    const timed = async (call: () => Promise<unknown>) => {
      const startedMs = clock.monotonicMs();
      const how = await call().then(
        () => "ok" as const,
        ({ executed }: ServiceError) => (executed === "no" ? ("refused" as const) : ("unknown" as const)),
      );
      ends[how] += 1;
      if (clock.monotonicMs() - startedMs > deadlineMs + 250) ends.late += 1;
      return how;
    };
    const producer = newProducer();
    let announced = 0;
    const announcing = (async () => {
      while (!enough) {
        const text = `a${announced + 1}`;
        const announcement = { producer, number: announced + 1, text };
        // Whatever did not end well is said again, the same: it counts once.
        const how = await timed(() => service.channel(channelId).announce(announcement, { deadlineMs }));
        if (how === "ok") announced += 1;
      }
    })();
    let posted = 0;
    const posting = (async () => {
      while (!enough) {
        const content = { text: { text: `p${posted}`, replyTo: 0 } };
        posted += 1; // once each: nobody asks twice
        const post = { userId: 1, producer: 50_000 + posted, number: 1, content };
        await timed(() => service.actor(ChannelService, channelId).post(post, { deadlineMs }));
      }
    })();
    for (let round = 0; round < 4; round++) {
      await pause(clock, 600);
      way.cut();
      await pause(clock, round === 1 ? 2_000 : 200); // once longer than any deadline
      way.heal();
    }
    await pause(clock, 1_500);
    enough = true;
    await Promise.all([announcing, posting]);
    const { lastId } = await service.channel(channelId).history();
    await until(() => following.lastId >= lastId);
    expect(given).toEqual(upTo(lastId));
    const kept: string[] = [];
    for (let after = 0; after < lastId; ) {
      const { entries } = await service.channel(channelId).history({ after, limit: 200 });
      kept.push(...entries.flatMap(({ content }) => content?.system?.text ?? []));
      after = entries.at(-1)?.messageId ?? lastId;
    }
    expect(kept.slice(0, announced)).toEqual(upTo(announced).map((n) => `a${n}`));
    expect(kept.length - announced).toBeLessThanOrEqual(1);
    expect(ends.late).toBe(0);
    expect(ends.ok).toBeGreaterThan(20);
    expect(ends.refused + ends.unknown).toBeGreaterThan(0);
    await service.close();
    await way.close();
  });
});
