// What every store of jobs does. Each implementation runs this suite.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SharedStores } from "../local-stores.ts";

export function jobContract(name: string, open: () => Promise<{ stores: SharedStores; close(): Promise<void> }>): void {
  describe(`jobs, ${name}`, () => {
    let node: Awaited<ReturnType<typeof open>>;
    beforeEach(async () => {
      node = await open();
    });
    afterEach(() => node.close());

    const value = (text: string) => new Uint8Array(Buffer.from(text));
    const listed = async (queue: string) =>
      (await node.stores.jobs.list(queue)).map((row) => [row.number, Buffer.from(row.value).toString()]);

    it("are listed in the order of their numbers, each queue by itself", async () => {
      const { jobs } = node.stores;
      await Promise.all([
        jobs.put("push", { number: 300, value: value("c") }),
        jobs.put("push", { number: 2, value: value("a") }),
        jobs.put("pushed", { number: 4, value: value("of another queue") }),
        jobs.put("push", { number: 20, value: value("b") }),
      ]);
      expect(await listed("push")).toEqual([
        [2, "a"],
        [20, "b"],
        [300, "c"],
      ]);
    });

    it("are replaced under their number, and gone when they are removed", async () => {
      const { jobs } = node.stores;
      await jobs.put("push", { number: 1, value: value("first") });
      await jobs.put("push", { number: 1, value: value("second") });
      expect(await listed("push")).toEqual([[1, "second"]]);
      await jobs.remove("push", 1);
      await jobs.remove("push", 9);
      expect(await listed("push")).toEqual([]);
    });
  });
}
