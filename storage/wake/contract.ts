// What every wake list does. Each implementation runs this suite.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OneNode } from "../registers/contract.ts";

export function wakeContract(name: string, open: () => Promise<OneNode>): void {
  describe(`wake list, ${name}`, () => {
    let node: OneNode;
    beforeEach(async () => {
      node = await open();
    });
    afterEach(() => node.close());

    it("lists the rows of one shard, of every epoch", async () => {
      const { wake } = node.stores;
      await Promise.all([
        wake.register({ shard: 3, epoch: 2 }, 0, "channel/g1"),
        wake.register({ shard: 3, epoch: 10 }, 1, "channel/g1"),
        wake.register({ shard: 30, epoch: 2 }, 0, "channel/g2"),
      ]);
      expect(await wake.list(3)).toEqual([
        { epoch: 2, slot: 0, actor: "channel/g1" },
        { epoch: 10, slot: 1, actor: "channel/g1" },
      ]);
      expect(await wake.list(4)).toEqual([]);
    });

    it("a stale owner that removes its row leaves its successor's", async () => {
      const { wake } = node.stores;
      await wake.register({ shard: 3, epoch: 2 }, 5, "channel/g1");
      await wake.register({ shard: 3, epoch: 3 }, 5, "channel/g1");
      await wake.remove(3, [{ epoch: 2, slot: 5, actor: "channel/g1" }]);
      expect(await wake.list(3)).toEqual([{ epoch: 3, slot: 5, actor: "channel/g1" }]);
    });

    it("takes the same row twice, and removes what is not there", async () => {
      const { wake } = node.stores;
      await wake.register({ shard: 3, epoch: 2 }, 5, "user/7");
      await wake.register({ shard: 3, epoch: 2 }, 5, "user/7");
      expect(await wake.list(3)).toHaveLength(1);
      await wake.remove(3, [
        { epoch: 2, slot: 5, actor: "user/7" },
        { epoch: 9, slot: 9, actor: "user/9" },
      ]);
      expect(await wake.list(3)).toEqual([]);
    });
  });
}
