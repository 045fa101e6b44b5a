// What every transport does. Each implementation runs this suite.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Transport } from "./port.ts";

export interface Network {
  join(nodeId: string): Promise<Transport>;
  /** Resolves when everybody who has begun to receive can be reached. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

interface Received {
  readonly from: string;
  readonly lane: number;
  readonly bytes: Uint8Array;
}

export function transportContract(name: string, open: () => Promise<Network>): void {
  describe(`transport, ${name}`, () => {
    let network: Network;
    beforeEach(async () => {
      network = await open();
    });
    afterEach(() => network.close());

    const listen = async (nodeId: string) => {
      const transport = await network.join(nodeId);
      const received: Received[] = [];
      let wanted = Number.POSITIVE_INFINITY;
      let enough = () => {};
      transport.open({
        onBatch(from, lane, bytes) {
          received.push({ from, lane, bytes });
          if (received.length >= wanted) enough();
        },
        onRequest() {},
      });
      await network.settle();
      const atLeast = (count: number) =>
        new Promise<void>((resolve) => {
          wanted = count;
          enough = resolve;
          if (received.length >= count) resolve();
        });
      return { transport, received, atLeast };
    };
    const ignore = () => {};
    const text = ({ bytes }: Received) => Buffer.from(bytes).toString();

    it("brings batches with their sender and their lane, in order", async () => {
      const a = await listen("a#1");
      const b = await listen("b#1");
      for (let at = 0; at < 200; at++) a.transport.send("b#1", 3, Buffer.from(`m${at}`), ignore);
      await b.atLeast(200);
      expect(b.received.map(text)).toEqual(Array.from({ length: 200 }, (_, at) => `m${at}`));
      expect(new Set(b.received.map(({ from, lane }) => `${from}/${lane}`))).toEqual(new Set(["a#1/3"]));
    });

    it("says of a node that nobody is that it was not delivered", async () => {
      const { transport } = await listen("a#1");
      await new Promise<void>((notDelivered) => {
        transport.send("nobody#1", 0, Buffer.from("x"), notDelivered);
      });
    });

    it("brings the largest message as it was sent, and an empty one", async () => {
      const a = await listen("a#1");
      const b = await listen("b#1");
      const largest = Buffer.alloc(a.transport.messageBytesMax, 7);
      a.transport.send("b#1", 0, largest, ignore);
      a.transport.send("b#1", 0, new Uint8Array(0), ignore);
      await b.atLeast(2);
      expect(Buffer.compare(b.received[0]?.bytes ?? Buffer.alloc(0), largest)).toBe(0);
      expect(b.received[1]?.bytes.byteLength).toBe(0);
    });

    it("brings a node only its own", async () => {
      const a = await listen("a#1");
      const b = await listen("b#1");
      const c = await listen("c#1");
      a.transport.send("c#1", 0, Buffer.from("for c"), ignore);
      a.transport.send("b#1", 0, Buffer.from("for b"), ignore);
      await Promise.all([b.atLeast(1), c.atLeast(1)]);
      expect([b.received.map(text), c.received.map(text)]).toEqual([["for b"], ["for c"]]);
    });
  });
}
