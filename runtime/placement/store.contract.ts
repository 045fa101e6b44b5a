// What every placement store keeps to. The memory store runs it in `make test`, Consul beside the other engines.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PlacementKey, PlacementStore, Stored, StoredMember } from "./store.ts";

export interface StoreUnderTest {
  /** Of one cluster: all clients see the same. */
  connect(): PlacementStore;
  /** As an operator does. */
  remove(key: PlacementKey): Promise<void>;
  /** Lets real or virtual time pass. */
  wait(ms: number): Promise<void>;
  close(): Promise<void>;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (stored: Stored | undefined) => stored && new TextDecoder().decode(stored.bytes);

export function storeContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a placement store`, () => {
    let made: StoreUnderTest;
    let store: PlacementStore;
    let other: PlacementStore;
    beforeAll(async () => {
      made = await open();
      store = made.connect();
      other = made.connect();
    });
    afterAll(async () => {
      store.close();
      other.close();
      await made.close();
    });

    /** Waits for what a watch will tell. */
    async function eventually(holds: () => boolean): Promise<void> {
      for (let step = 0; step < 100 && !holds(); step++) await made.wait(50);
      expect(holds()).toBe(true);
    }

    it("has no value until somebody writes one, and keeps bytes as they are", async () => {
      expect(await store.read("config")).toBeUndefined();
      const all = Uint8Array.from({ length: 256 }, (_, at) => at);
      const version = await store.write("config", all, 0);
      const read = await other.read("config");
      expect(read?.version).toBe(version);
      expect([...(read?.bytes ?? [])]).toEqual([...all]);
    });

    it("(S1) takes a write only over the version that was read", async () => {
      expect(await other.write("config", bytes("late"), 0)).toBeUndefined();
      const { version } = (await store.read("config")) as Stored;
      const next = await store.write("config", bytes("two"), version);
      expect(next).toBeTypeOf("number");
      expect(next).not.toBe(version);
      expect(await other.write("config", bytes("three"), version)).toBeUndefined();
      expect(text(await other.read("config"))).toBe("two");
    });

    it("(S1) takes a write only while its guard stands", async () => {
      const term1 = (await store.write("coordinator", bytes("1"), 0)) as number;
      const first = (await store.write("placement", bytes("a"), 0, { key: "coordinator", version: term1 })) as number;
      const term2 = (await other.write("coordinator", bytes("2"), term1)) as number;
      expect(await store.write("placement", bytes("b"), first, { key: "coordinator", version: term1 })).toBeUndefined();
      expect(text(await store.read("placement"))).toBe("a");
      expect(await other.write("placement", bytes("c"), first, { key: "coordinator", version: term2 })).toBeTypeOf(
        "number",
      );
      expect(text(await store.read("placement"))).toBe("c");
    });

    it("of many writers over one version lets one through", async () => {
      await made.remove("config");
      const made10 = await Promise.all(
        Array.from({ length: 10 }, (_, at) => (at % 2 === 0 ? store : other).write("config", bytes(`w${at}`), 0)),
      );
      expect(made10.filter((version) => version !== undefined)).toHaveLength(1);
    });

    it("(S2) lists a member while its session lives", async () => {
      expect(await store.members()).toEqual([]);
      const session = await store.openSession("a#1");
      expect(await store.putMember("a#1", bytes("one"), session)).toBe(true);
      const listed = (await other.members()) as StoredMember[];
      expect(listed.map(({ nodeId }) => nodeId)).toEqual(["a#1"]);
      expect(listed[0]?.session).toBe(session);
      expect(new TextDecoder().decode(listed[0]?.bytes)).toBe("one");
      expect(await store.putMember("a#1", bytes("changed"), session)).toBe(true);
      expect(await store.renewSession(session)).toBe(true);
      await other.endSession(session);
      expect(await store.members()).toEqual([]);
      expect(await store.renewSession(session)).toBe(false);
      expect(await store.putMember("a#1", bytes("again"), session)).toBe(false);
    });

    it("lets a member be put again under a new session at once, but not under two", async () => {
      const first = await store.openSession("b#1");
      expect(await store.putMember("b#1", bytes("1"), first)).toBe(true);
      const second = await store.openSession("b#1");
      expect(await store.putMember("b#1", bytes("2"), second)).toBe(false);
      await store.endSession(first);
      expect(await store.putMember("b#1", bytes("2"), second)).toBe(true);
      await store.endSession(second);
    });

    it("tells watchers what there is, what changes, and what is gone", async () => {
      await made.remove("placement");
      const tables: (string | undefined)[] = [];
      const lists: string[][] = [];
      const watches = [
        other.watchTable((table) => tables.push(text(table))),
        other.watchMembers((members) => lists.push(members.map(({ nodeId }) => nodeId))),
      ];
      await eventually(() => tables.length > 0 && lists.length > 0);
      expect(tables.at(-1)).toBeUndefined();
      await store.write("placement", bytes("t1"), 0);
      const session = await store.openSession("c#1");
      await store.putMember("c#1", bytes("c"), session);
      await eventually(() => tables.at(-1) === "t1" && lists.at(-1)?.[0] === "c#1");
      await made.remove("placement");
      await store.endSession(session);
      await eventually(() => tables.at(-1) === undefined && lists.at(-1)?.length === 0);
      for (const watch of watches) watch.close();
      const told = tables.length;
      await store.write("placement", bytes("t2"), 0);
      await made.wait(300);
      expect(tables.length).toBe(told);
    });

    it("(S2) drops a member whose session nobody renews, and no other", async () => {
      const left = await store.openSession("left#1");
      const kept = await other.openSession("kept#1");
      await store.putMember("left#1", bytes("l"), left);
      await other.putMember("kept#1", bytes("k"), kept);
      for (let second = 0; second < 25; second += 3) {
        expect(await other.renewSession(kept)).toBe(true);
        await made.wait(3_000);
      }
      expect((await store.members()).map(({ nodeId }) => nodeId)).toEqual(["kept#1"]);
      await other.endSession(kept);
    }, 60_000);

    it("tells its wall clock", async () => {
      expect(await store.wallMs()).toBeGreaterThan(Date.UTC(2025, 0, 1));
    });

    it("refuses after it was closed", async () => {
      const third = made.connect();
      third.close();
      await expect(third.read("config")).rejects.toMatchObject({ code: "CONSUL_UNREACHABLE" });
      expect(third.failures).toBe(1);
    });
  });
}
