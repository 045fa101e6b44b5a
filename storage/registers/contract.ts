// What every register store does. Each implementation runs this suite.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Stores } from "../stores.ts";
import type { RegisterWrite } from "./port.ts";

export interface OneNode {
  readonly stores: Stores;
  close(): Promise<void>;
}

const inbox = (name: string, timestamp: number, text: string): RegisterWrite => ({
  family: "inbox",
  owner: "42",
  name,
  timestamp,
  value: Buffer.from(text),
});

export function registerContract(name: string, open: () => Promise<OneNode>): void {
  describe(`registers, ${name}`, () => {
    let node: OneNode;
    beforeEach(async () => {
      node = await open();
    });
    afterEach(() => node.close());
    const kept = async (owner = "42") =>
      (await node.stores.registers.read("inbox", owner)).map(
        ({ name, timestamp, value }) => `${name}@${timestamp}=${Buffer.from(value).toString()}`,
      );

    it("keeps families and owners apart and lists an owner by name", async () => {
      await node.stores.registers.write([
        inbox("g2", 1, "b"),
        inbox("g1", 5, "a"),
        { ...inbox("g1", 9, "x"), owner: "4" },
      ]);
      await node.stores.registers.write([{ ...inbox("g1", 3, "head"), family: "head" }]);
      expect(await kept()).toEqual(["g1@5=a", "g2@1=b"]);
      expect(await kept("4")).toEqual(["g1@9=x"]);
      expect(await kept("nobody")).toEqual([]);
    });

    it("only rises: a late write changes nothing, and is answered", async () => {
      await node.stores.registers.write([inbox("g1", 5, "new")]);
      await node.stores.registers.write([inbox("g1", 4, "old")]);
      expect(await kept()).toEqual(["g1@5=new"]);
      await node.stores.registers.write([inbox("g1", 6, "newer")]);
      expect(await kept()).toEqual(["g1@6=newer"]);
    });

    it("keeps the larger value at equal timestamps, whatever the order", async () => {
      await node.stores.registers.write([inbox("g1", 5, "aa")]);
      await node.stores.registers.write([inbox("g1", 5, "b")]);
      await node.stores.registers.write([inbox("g1", 5, "ab")]);
      expect(await kept()).toEqual(["g1@5=b"]);
    });

    it("does not go down between writes that wait for the same commit", async () => {
      const writes = [3, 9, 1, 8, 2].map((at) => node.stores.registers.write([inbox("g1", at, `v${at}`)]));
      await writes[4];
      expect(await kept()).toEqual(["g1@9=v9"]);
      await Promise.all(writes);
      expect(await kept()).toEqual(["g1@9=v9"]);
    });

    it("keeps timestamps up to 2^53 − 1 and bytes exactly", async () => {
      const value = Buffer.from([0, 255, 1, 0]);
      await node.stores.registers.write([{ ...inbox("g1", Number.MAX_SAFE_INTEGER, ""), value }]);
      const [register] = await node.stores.registers.read("inbox", "42");
      expect(register?.timestamp).toBe(Number.MAX_SAFE_INTEGER);
      expect(Buffer.compare(register?.value ?? Buffer.alloc(0), value)).toBe(0);
    });

    it("answers a write of nothing", async () => {
      await node.stores.registers.write([]);
    });
  });
}
