// What every shard fence does. Each implementation runs this suite.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { TwoNodes } from "../log/contract.ts";

const lost = expect.objectContaining({ code: "SHARD_LOST" });

export function fenceContract(name: string, open: () => Promise<TwoNodes>): void {
  describe(`shard fence, ${name}`, () => {
    let nodes: TwoNodes;
    beforeEach(async () => {
      nodes = await open();
    });
    afterEach(() => nodes.close());

    it("holds from the claim on, and for this shard and epoch only", async () => {
      const { fence } = nodes.one;
      await fence.claim({ shard: 1, epoch: 5 });
      await fence.verify({ shard: 1, epoch: 5 });
      await expect(fence.verify({ shard: 1, epoch: 4 })).rejects.toEqual(lost);
      await expect(fence.verify({ shard: 2, epoch: 5 })).rejects.toEqual(lost);
    });

    it("a higher claim ends the tenure before it, once, and names the epoch", async () => {
      const told: string[] = [];
      nodes.one.fence.onLost((tenure, highest) => told.push(`${tenure.shard}@${tenure.epoch}<${highest}`));
      await nodes.one.fence.claim({ shard: 1, epoch: 5 });
      await nodes.one.fence.claim({ shard: 2, epoch: 5 });
      await nodes.other.fence.claim({ shard: 1, epoch: 6 });
      await expect(nodes.one.fence.verify({ shard: 1, epoch: 5 })).rejects.toEqual(lost);
      await expect(nodes.one.fence.verify({ shard: 1, epoch: 5 })).rejects.toEqual(lost);
      await nodes.other.fence.verify({ shard: 1, epoch: 6 });
      await nodes.one.fence.verify({ shard: 2, epoch: 5 });
      expect(told).toEqual(["1@5<6"]);
    });

    it("a tenure that was given up is lost at once, told once, and never comes back", async () => {
      const told: string[] = [];
      const tenure = { shard: 1, epoch: 5 };
      nodes.one.fence.onLost(({ shard, epoch }, highest) => told.push(`${shard}@${epoch}<${highest}`));
      await nodes.one.fence.claim(tenure);
      nodes.one.fence.lose({ ...tenure, epoch: 4 }, 9); // another tenure
      await nodes.one.fence.verify(tenure);
      nodes.one.fence.lose(tenure, 6);
      nodes.one.fence.lose(tenure, 6);
      await expect(nodes.one.fence.verify(tenure)).rejects.toEqual(lost);
      await expect(nodes.one.fence.claim(tenure)).rejects.toEqual(lost);
      expect(told).toEqual(["1@5<6"]);
      await nodes.other.fence.claim({ shard: 1, epoch: 6 });
      await nodes.other.fence.verify({ shard: 1, epoch: 6 });
    });

    it("refuses a lower claim, and the same one to a second owner", async () => {
      await nodes.one.fence.claim({ shard: 1, epoch: 5 });
      await expect(nodes.other.fence.claim({ shard: 1, epoch: 4 })).rejects.toEqual(lost);
      await expect(nodes.other.fence.claim({ shard: 1, epoch: 5 })).rejects.toEqual(lost);
    });

    it("lost is final: only a higher epoch brings the shard back", async () => {
      await nodes.one.fence.claim({ shard: 1, epoch: 5 });
      await nodes.other.fence.claim({ shard: 1, epoch: 6 });
      await expect(nodes.one.fence.claim({ shard: 1, epoch: 5 })).rejects.toEqual(lost);
      await nodes.one.fence.claim({ shard: 1, epoch: 7 });
      await nodes.one.fence.verify({ shard: 1, epoch: 7 });
      await expect(nodes.other.fence.verify({ shard: 1, epoch: 6 })).rejects.toEqual(lost);
    });
  });
}
