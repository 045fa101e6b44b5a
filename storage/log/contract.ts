// What every channel log store does. Each implementation runs this suite.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Tenure } from "../../runtime/index.ts";
import type { Stores } from "../stores.ts";
import type { ChannelLog, ChannelLogStore, LogEvents, LogHint } from "./port.ts";
import { BUCKET_ROWS } from "./port.ts";

export type LogNode = Pick<Stores, "logs" | "fence">;

/** Two nodes over the same data. */
export interface TwoNodes {
  readonly one: LogNode;
  readonly other: LogNode;
  close(): Promise<void>;
}

export interface OpenedLog {
  readonly log: ChannelLog;
  readonly lost: Promise<Error>;
  /** Resolves when this id is settled. */
  settled(id: number): Promise<void>;
  /** Each value that onSettled was called with. */
  readonly told: number[];
}

export async function openLog(
  logs: ChannelLogStore,
  channelId: string,
  tenure: Tenure,
  hint?: LogHint,
): Promise<OpenedLog> {
  const told: number[] = [];
  let waiting: { id: number; resolve: () => void }[] = [];
  let tellLost: (error: Error) => void = () => {};
  const lost = new Promise<Error>((resolve) => {
    tellLost = resolve;
  });
  const events: LogEvents = {
    onSettled(through) {
      told.push(through);
      for (const { id, resolve } of waiting) if (id <= through) resolve();
      waiting = waiting.filter(({ id }) => id > through);
    },
    onLost: (error) => tellLost(error),
  };
  const log = await logs.open(channelId, tenure, events, hint);
  const settled = (id: number) =>
    new Promise<void>((resolve) => {
      if (log.settled >= id) resolve();
      else waiting.push({ id, resolve });
    });
  return { log, lost, settled, told };
}

const record = (text: string) => Buffer.from(text);
export const everything = { from: 1, to: 2 ** 52, rowsMax: 10_000, bytesMax: 2 ** 30 };

async function replayed(log: ChannelLog, from = 1): Promise<string[]> {
  const texts: string[] = [];
  for await (const row of log.replay(from)) texts.push(`${row.id}:${Buffer.from(row.record).toString()}`);
  return texts;
}

export function channelLogContract(name: string, open: () => Promise<TwoNodes>, epochs: readonly number[] = [7]): void {
  describe.each(epochs)(`channel log, ${name}, epoch %i`, (epoch) => {
    let nodes: TwoNodes;
    const tenure = { shard: 3, epoch };
    beforeEach(async () => {
      nodes = await open();
      await nodes.one.fence.claim(tenure);
    });
    afterEach(() => nodes.close());

    it("gives dense ids from 1, each channel its own", async () => {
      const a = await openLog(nodes.one.logs, "g1", tenure);
      const b = await openLog(nodes.one.logs, "g2", tenure);
      expect([a.log.append(record("x")), a.log.append(record("y")), b.log.append(record("z"))]).toEqual([1, 2, 1]);
      await Promise.all([a.settled(2), b.settled(1)]);
      expect([a.log.tail, a.log.settled, b.log.tail]).toEqual([2, 2, 1]);
    });

    it("tells nothing inside of append, and rises only", async () => {
      const a = await openLog(nodes.one.logs, "g1", tenure);
      for (let i = 1; i <= 50; i++) a.log.append(record(`m${i}`));
      expect(a.told).toEqual([]);
      expect([a.log.settled, a.log.busy]).toEqual([0, true]);
      await a.settled(50);
      expect(a.told.at(-1)).toBe(50);
      expect([...a.told].sort((x, y) => x - y)).toEqual(a.told);
      expect(a.log.busy).toBe(false);
    });

    it("reads a range upwards and downwards, bounded by rows and by bytes", async () => {
      const a = await openLog(nodes.one.logs, "g1", tenure);
      for (let i = 1; i <= 9; i++) a.log.append(record(`m${i}`));
      await a.settled(9);
      const ids = async (range: object) =>
        (await nodes.one.logs.read("g1", { ...everything, ...range })).map((row) => row.id);
      expect(await ids({})).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(await ids({ from: 3, to: 5 })).toEqual([3, 4, 5]);
      expect(await ids({ from: 3, to: 8, rowsMax: 2 })).toEqual([3, 4]);
      expect(await ids({ from: 3, to: 8, rowsMax: 2, newestFirst: true })).toEqual([8, 7]);
      expect(await ids({ bytesMax: 3 })).toEqual([1, 2]);
      expect(await ids({ to: 9, bytesMax: 1, newestFirst: true })).toEqual([9]);
      expect(await ids({ from: 10 })).toEqual([]);
      const [first] = await nodes.one.logs.read("g1", everything);
      expect(Buffer.from(first?.record ?? []).toString()).toBe("m1");
      expect(await nodes.one.logs.read("g", everything)).toEqual([]);
    });

    it("goes on where it was left, in the same tenure and in the next", async () => {
      const a = await openLog(nodes.one.logs, "g1", tenure);
      a.log.append(record("one"));
      a.log.append(record("two"));
      await a.settled(2);
      a.log.close();
      const again = await openLog(nodes.one.logs, "g1", tenure, { settled: 1, replayFrom: 2 });
      expect(again.log.tail).toBe(2);
      expect(again.log.append(record("three"))).toBe(3);
      await again.settled(3);
      if (epoch === 2 ** 26 - 1) return; // there is no next
      const next = { shard: 3, epoch: epoch + 1 };
      await nodes.other.fence.claim(next);
      const taken = await openLog(nodes.other.logs, "g1", next, { settled: 2, replayFrom: 2 });
      expect(taken.log.tail).toBe(3);
      await taken.log.settleAdopted();
      expect(taken.log.settled).toBe(3);
      expect(await replayed(taken.log)).toEqual(["1:one", "2:two", "3:three"]);
      expect(await replayed(taken.log, 3)).toEqual(["3:three"]);
    });

    it("replays the log as it was opened, not what was appended since", async () => {
      const a = await openLog(nodes.one.logs, "g1", tenure);
      a.log.append(record("one"));
      await a.settled(1);
      a.log.close();
      const again = await openLog(nodes.one.logs, "g1", tenure);
      again.log.append(record("two"));
      await again.settled(2);
      expect(await replayed(again.log)).toEqual(["1:one"]);
    });

    it("crosses the border of a bucket without a hole", async () => {
      const a = await openLog(nodes.one.logs, "g1", tenure);
      const count = BUCKET_ROWS * 2 + 5;
      for (let i = 1; i <= count; i++) expect(a.log.append(record(`m${i}`))).toBe(i);
      await a.settled(count);
      a.log.close();
      const around = { ...everything, from: BUCKET_ROWS - 1, to: BUCKET_ROWS + 2 };
      const ids = (await nodes.one.logs.read("g1", around)).map((row) => row.id);
      expect(ids).toEqual([BUCKET_ROWS - 1, BUCKET_ROWS, BUCKET_ROWS + 1, BUCKET_ROWS + 2]);
      const again = await openLog(nodes.one.logs, "g1", tenure, {
        settled: BUCKET_ROWS + 500,
        replayFrom: BUCKET_ROWS + 501,
      });
      expect(again.log.tail).toBe(count);
      expect(await replayed(again.log, count - 1)).toHaveLength(2);
    });

    it("keeps bytes exactly, from an empty record to one of 400 KB", async () => {
      const a = await openLog(nodes.one.logs, "g1", tenure);
      const records = [Buffer.alloc(0), Buffer.from([0, 255, 0]), Buffer.alloc(400_000, 7)];
      for (const bytes of records) a.log.append(bytes);
      await a.settled(3);
      const rows = await nodes.one.logs.read("g1", everything);
      expect(rows.map((row) => Buffer.compare(row.record, records[row.id - 1] as Buffer))).toEqual([0, 0, 0]);
    });

    it.runIf(epoch < 2 ** 26 - 1)("a node whose shard was claimed by another acknowledges nothing more", async () => {
      const a = await openLog(nodes.one.logs, "g1", tenure);
      a.log.append(record("kept"));
      await a.settled(1);
      await nodes.other.fence.claim({ shard: 3, epoch: epoch + 1 });
      const toldBefore = a.told.length;
      try {
        a.log.append(record("late"));
      } catch (error) {
        expect(error).toMatchObject({ code: "SHARD_LOST" });
      }
      expect(await a.lost).toMatchObject({ code: "SHARD_LOST" });
      expect(() => a.log.append(record("later"))).toThrow(expect.objectContaining({ code: "SHARD_LOST" }));
      expect(a.told.length).toBe(toldBefore);
      expect(a.log.busy).toBe(false);
      a.log.close();
      await expect(openLog(nodes.one.logs, "g1", tenure)).rejects.toMatchObject({ code: "SHARD_LOST" });
    });

    it("a log whose tenure was given up with a batch in flight tells nothing more, and can be closed", async () => {
      const a = await openLog(nodes.one.logs, "g1", tenure);
      a.log.append(record("in flight"));
      nodes.one.fence.lose(tenure, epoch);
      expect(await a.lost).toMatchObject({ code: "SHARD_LOST" });
      expect([a.log.busy, a.told]).toEqual([false, []]);
      a.log.close();
    });

    it("does not open under a tenure that was never claimed", async () => {
      await expect(openLog(nodes.one.logs, "g1", { shard: 4, epoch })).rejects.toMatchObject({ code: "SHARD_LOST" });
    });
  });
}
