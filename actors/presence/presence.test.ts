import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Presence, PresenceState, SessionState } from "../../proto/index.ts";
import { createWorld, type Device, refsOf, type World, within } from "../harness.ts";
import { nextPhase } from "./machine.ts";

let world: World;
beforeEach(async () => {
  world = await createWorld(["a", "b"]);
  world.friends.set(1, [2]);
  world.friends.set(2, [1]);
});
afterEach(() => world.close());

const ask = <T>(promise: Promise<T>) => within(world.clock, promise);
const presence = (userId: number) => refsOf(world.at).presence(String(userId));
const report = (userId: number, state: SessionState, sessionId = userId, lastBeatAgoMs = 0) =>
  presence(userId).report({ gateway: "a", sessionId, state, lastBeatAgoMs });
const stateOf = async (userId: number) => (await ask(presence(userId).ask({ askerId: 0 }))).presence?.state;
const told = (device: Device): Presence[] => device.told.flatMap((frame) => frame.presences?.presences ?? []);
const statesTold = (device: Device) => told(device).map((one) => one.state);

describe("the state chart", () => {
  it("goes from online over silent to offline, and back with one beat", () => {
    expect(nextPhase("offline", { type: "beat" })).toBe("online");
    expect(nextPhase("online", { type: "beatsStopped" })).toBe("silent");
    expect(nextPhase("silent", { type: "beat" })).toBe("online");
    expect(nextPhase("silent", { type: "expired" })).toBe("offline");
  });

  it("takes a log-out at once from anywhere, and nothing else ends online in one step", () => {
    for (const phase of ["online", "silent"] as const) expect(nextPhase(phase, { type: "loggedOut" })).toBe("offline");
    expect(nextPhase("online", { type: "expired" })).toBe("online");
  });
});

describe("a user", () => {
  it("is online with the first report, and offline 30 s after the last beat, not before", async () => {
    report(1, SessionState.ALIVE);
    expect(await stateOf(1)).toBe(PresenceState.ONLINE);
    report(1, SessionState.SILENT, 1, 12_000);
    await world.clock.advance(17_000);
    expect(await stateOf(1)).toBe(PresenceState.ONLINE);
    await world.clock.advance(1_500);
    expect(await stateOf(1)).toBe(PresenceState.OFFLINE);
  });

  it("does not flicker when beats come back in time", async () => {
    const friend = await world.attach(2, 20);
    report(2, SessionState.ALIVE);
    await ask(presence(2).watch({ on: true }));
    report(1, SessionState.ALIVE);
    report(1, SessionState.SILENT, 1, 12_000);
    await world.clock.advance(10_000);
    report(1, SessionState.ALIVE);
    await world.clock.advance(60_000);
    expect(statesTold(friend)).toEqual([PresenceState.ONLINE]);
  });

  it("stays online while one of several sessions does", async () => {
    report(1, SessionState.ALIVE, 1);
    report(1, SessionState.ALIVE, 2);
    report(1, SessionState.LOGGED_OUT, 1);
    expect(await stateOf(1)).toBe(PresenceState.ONLINE);
    report(1, SessionState.LOGGED_OUT, 2);
    expect(await stateOf(1)).toBe(PresenceState.OFFLINE);
  });

  it("is forgotten by its lease when the gateway died without a word", async () => {
    report(1, SessionState.ALIVE);
    await world.clock.advance(130_000);
    expect(await stateOf(1)).toBe(PresenceState.OFFLINE);
  });

  it("keeps when it was last active, over the life of the actor", async () => {
    report(1, SessionState.ALIVE);
    await world.clock.advance(100);
    const activeAtMs = world.clock.wallMs();
    report(1, SessionState.ALIVE);
    report(1, SessionState.LOGGED_OUT);
    await world.clock.advance(200_000);
    expect((await ask(presence(1).ask({ askerId: 0 }))).presence).toMatchObject({
      state: PresenceState.OFFLINE,
      lastActiveAtMs: activeAtMs,
    });
  });
});

describe("friends", () => {
  it("are told of each other's coming and, at once, of a log-out", async () => {
    const friend = await world.attach(2, 20);
    report(2, SessionState.ALIVE);
    const { presences } = await ask(presence(2).watch({ on: true }));
    expect(presences).toMatchObject([{ userId: 1, state: PresenceState.OFFLINE }]);
    report(1, SessionState.ALIVE);
    await world.clock.advance(50);
    report(1, SessionState.LOGGED_OUT);
    await world.clock.advance(50);
    expect(told(friend).map((one) => [one.userId, one.state])).toEqual([
      [1, PresenceState.ONLINE],
      [1, PresenceState.OFFLINE],
    ]);
  });

  it("two who watch each other at the same time both get an answer", async () => {
    report(1, SessionState.ALIVE);
    report(2, SessionState.ALIVE);
    await world.clock.advance(20);
    const both = await ask(Promise.all([presence(1).watch({ on: true }), presence(2).watch({ on: true })]));
    expect(both.map((reply) => reply.presences[0]?.state)).toEqual([PresenceState.ONLINE, PresenceState.ONLINE]);
  });

  it("are still told after their lease was renewed many times", async () => {
    const friend = await world.attach(2, 20);
    await ask(presence(2).watch({ on: true }));
    for (let at = 0; at < 40; at++) {
      report(2, SessionState.ALIVE, 2);
      await world.clock.advance(30_000);
    }
    report(1, SessionState.ALIVE);
    await world.clock.advance(100);
    expect(statesTold(friend)).toEqual([PresenceState.ONLINE]);
  });

  it("may ask, and strangers learn nothing, not even when somebody was last there", async () => {
    report(1, SessionState.ALIVE);
    const seenBy = async (askerId: number) => (await ask(presence(1).ask({ askerId }))).presence;
    expect(await seenBy(2)).toMatchObject({ userId: 1, state: PresenceState.ONLINE });
    expect(await seenBy(1)).toMatchObject({ userId: 1, state: PresenceState.ONLINE });
    expect(await seenBy(3)).toMatchObject({ userId: 1, state: PresenceState.UNKNOWN, lastActiveAtMs: 0 });
  });

  it("who are no longer friends are told nothing any more, and new ones are told", async () => {
    const was = await world.attach(2, 20);
    const becomes = await world.attach(3, 30);
    for (const userId of [2, 3]) {
      report(userId, SessionState.ALIVE);
      await ask(presence(userId).watch({ on: true }));
    }
    presence(1).friendsChanged({ friendId: 2, friends: false });
    presence(2).friendsChanged({ friendId: 1, friends: false });
    presence(3).friendsChanged({ friendId: 1, friends: true });
    await world.clock.advance(100);
    report(1, SessionState.ALIVE);
    await world.clock.advance(100);
    expect(statesTold(was)).toEqual([]);
    expect(statesTold(becomes)).toEqual([PresenceState.OFFLINE, PresenceState.ONLINE]);
  });
});
