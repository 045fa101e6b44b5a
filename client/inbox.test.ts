import { describe, expect, it } from "vitest";
import { ErrorCode } from "../proto/client.ts";
import { refusal } from "./testing/server.ts";
import { createWorld } from "./testing/world.ts";

const D = "d1.2";

describe("receiving", () => {
  it("a first sync starts with the newest entries; older ones are history", async () => {
    const { server, start } = createWorld();
    server.write(D, "1", "2", "3", "4", "5");
    const { client, heard } = await start();
    expect(heard.get(D)).toEqual(["3", "4", "5"]);
    expect(client.channel(D).unread).toBe(5);
    const page = await client.channel(D).history({ before: 3 });
    expect(page.entries.map(({ messageId }) => messageId)).toEqual([1, 2]);
  });

  it("what was missed while offline is filled by pages and announced dense, ascending, once", async () => {
    const { clock, server, start } = createWorld();
    server.write(D, "1", "2");
    const { client, ids } = await start({ settings: { repairPageEntries: 4 } });
    server.connection.cut();
    server.lose(D, ...Array.from({ length: 30 }, (_, i) => `m${i}`));
    await clock.advance(1_000);
    expect(client.state.phase).toBe("online");
    expect(ids.get(D)).toEqual(Array.from({ length: 32 }, (_, i) => i + 1));
  });

  it("a hole that a crash left below the cursor is filled after the restart", async () => {
    const { clock, server, records, start } = createWorld();
    server.write(D, "1");
    const first = await start();
    server.intercept = ({ history }) => history !== undefined && history !== null; // no page comes
    server.lose(D, "2", "3");
    server.version -= 2; // the two were never pushed; the third follows the first
    server.write(D, "4");
    await clock.advance(500);
    expect(first.ids.get(D)).toEqual([1]);
    await first.client.close();
    server.intercept = () => false;
    const second = await start({ records });
    await clock.advance(500);
    expect(second.ids.get(D)).toEqual([2, 3, 4]);
  });

  it("a lost push is seen by `prev`, and repaired by a sync", async () => {
    const { clock, server, start } = createWorld();
    const { ids } = await start();
    server.write(D, "1");
    server.lose("g5", "lost");
    server.write(D, "2");
    await clock.advance(500);
    expect(ids.get("g5")).toEqual([1]);
    expect(ids.get(D)).toEqual([1, 2]);
    expect(server.connection.received.filter(({ sync }) => sync)).toHaveLength(1);
  });

  it("a channel whose first pushes were lost starts with what the sync brings, not with the push that came", async () => {
    const { clock, server, start } = createWorld();
    const { ids } = await start();
    server.lose(D, "1");
    server.write(D, "2");
    await clock.advance(500);
    expect(ids.get(D)).toEqual([1, 2]);
  });

  it("a channel that comes up while a sync runs waits for its pointer", async () => {
    const { clock, server, start } = createWorld();
    const { ids } = await start();
    server.lose(D, "1");
    server.intercept = ({ sync }) => sync !== undefined && sync !== null;
    server.connection.say({ syncNeeded: {} });
    await clock.advance(500);
    server.write(D, "2");
    await clock.settle();
    expect(ids.get(D)).toBeUndefined();
    server.intercept = () => false;
    const { request, sync } = server.connection.received.find((frame) => frame.sync) ?? {};
    server.feed(sync?.cursor ?? 0, server.connection, request ?? 0);
    await clock.advance(500);
    expect(ids.get(D)).toEqual([1, 2]);
  });

  it("and for the one of the next sync, when pushes were lost during this one", async () => {
    const { clock, server, start } = createWorld();
    const { ids } = await start();
    server.intercept = ({ sync }) => sync !== undefined && sync !== null;
    server.connection.say({ syncNeeded: {} });
    await clock.advance(500);
    server.lose(D, "1");
    server.write(D, "2");
    server.intercept = () => false;
    const [asked] = server.connection.received.filter(({ sync }) => sync);
    server.connection.say({ caughtUp: { cursor: 0 } }, asked?.request);
    await clock.advance(500);
    expect(ids.get(D)).toEqual([1, 2]);
  });

  it("a channel whose push no sync explains starts with it", async () => {
    const { clock, server, start } = createWorld();
    const { ids } = await start();
    server.intercept = ({ request, sync }, connection) => {
      if (sync) connection.say({ caughtUp: { cursor: server.version } }, request);
      return sync !== undefined && sync !== null;
    };
    server.lose(D, "1");
    server.write(D, "2");
    await clock.advance(500);
    expect(ids.get(D)).toEqual([2]);
  });

  it("SyncNeeded is answered by one sync, however often it is said", async () => {
    const { clock, server, start } = createWorld();
    const { ids } = await start();
    server.lose(D, "1", "2");
    server.connection.say({ syncNeeded: {} });
    server.connection.say({ syncNeeded: {} });
    await clock.advance(500);
    expect(ids.get(D)).toEqual([1, 2]);
    expect(server.connection.received.filter(({ sync }) => sync)).toHaveLength(1);
  });

  it("the next connection resumes from the cursor", async () => {
    const { clock, server, start } = createWorld();
    await start();
    server.write(D, "1", "2", "3");
    await clock.settle();
    server.connection.cut();
    await clock.advance(1_000);
    expect(server.connection.received[0]?.hello?.cursor).toBe(3);
  });

  it("a full sync whose pointers are older than what the device holds announces nothing twice", async () => {
    const { clock, server, start } = createWorld();
    server.write(D, "1", "2", "3");
    const { ids, events } = await start();
    server.connection.cut();
    server.fullSync = true;
    server.pointersBehind = 2; // a crash took them; the log has everything
    await clock.advance(1_000);
    server.write(D, "4");
    await clock.advance(1_000);
    expect(ids.get(D)).toEqual([1, 2, 3, 4]);
    expect(events.filter(({ name }) => name === "gap")).toEqual([]);
  });

  it("a server that lost what the device holds is told of by a gap", async () => {
    const { clock, server, start } = createWorld();
    server.write(D, "1", "2", "3", "4", "5");
    const { ids, events } = await start();
    server.connection.cut();
    server.logs.clear();
    server.versions.clear();
    server.version = 0;
    server.fullSync = true;
    server.write(D, "new");
    await clock.advance(1_000);
    expect(events.find(({ name }) => name === "gap")?.payload).toEqual({ channelId: D, gap: { fromId: 2, toId: 5 } });
    expect(ids.get(D)).toEqual([3, 4, 5, 1]);
  });

  it("who may no longer read is told of the hole, and hears what it has", async () => {
    const { clock, server, start } = createWorld();
    server.write("g5", "1");
    const { ids, events } = await start();
    server.intercept = ({ request, history }, connection) => {
      if (history) connection.say(refusal(ErrorCode.NOT_A_MEMBER), request);
      return history !== undefined && history !== null;
    };
    server.connection.cut();
    server.pushes = false;
    server.write("g5", "2", "3", "4", "5");
    await clock.advance(1_000);
    expect(events.find(({ name }) => name === "gap")?.payload).toEqual({
      channelId: "g5",
      gap: { fromId: 2, toId: 2 },
    });
    expect(ids.get("g5")).toEqual([1, 3, 4, 5]);
  });

  it("deliveries are acknowledged together, up to what is announced", async () => {
    const { clock, server, start } = createWorld();
    await start();
    server.write(D, "1", "2", "3");
    await clock.advance(1_000);
    const acks = server.connection.received.flatMap(({ ack }) => (ack ? [ack.deliveredId] : []));
    expect(acks).toEqual([3]);
  });

  it("what was read on another device is read here, and moves the cursor like any delivery", async () => {
    const { clock, server, start } = createWorld();
    const { client } = await start();
    server.write(D, "1", "2");
    await clock.advance(1_000);
    server.version += 1;
    server.connection.say({
      delivery: { prev: 2, version: 3, channelId: D, entries: [], readId: 1, readOrdinal: 1 },
    });
    await clock.advance(1_000);
    expect([client.channel(D).readId, client.channel(D).unread]).toEqual([1, 1]);
    server.write(D, "3");
    await clock.advance(1_000);
    expect(server.connection.received.some(({ sync }) => sync)).toBe(false);
    server.connection.cut();
    await clock.advance(1_000);
    expect(server.connection.received[0]?.hello?.cursor).toBe(4);
    expect(server.connection.received.some(({ read }) => read)).toBe(false);
  });

  it("what others have received and read is announced one by one, however it came", async () => {
    const { clock, server, start } = createWorld();
    const { events } = await start();
    const marks = [2, 3].map((userId) => ({ channelId: "g5", userId, deliveredId: 4, readId: userId }));
    server.connection.say({ receipts: { receipts: marks } });
    await clock.settle();
    expect(events.filter(({ name }) => name === "receipt").map(({ payload }) => payload)).toEqual(marks);
  });

  it("a read mark that could not be told is told after the reconnection", async () => {
    const { clock, server, start } = createWorld();
    server.write(D, "1", "2", "3");
    const { client } = await start();
    server.connection.cut();
    await client.channel(D).markRead(2);
    expect(client.channel(D).unread).toBe(1);
    await clock.advance(1_000);
    const reads = server.connection.received.flatMap(({ read }) => (read ? [read] : []));
    expect(reads).toEqual([expect.objectContaining({ channelId: D, readId: 2, ordinal: 2 })]);
  });
});
