// What every store does.

import { describe, expect, it } from "vitest";
import type { ClientStore } from "./port.ts";

/** `open` opens the same place each time; the store before was closed. */
export interface StorePlace {
  open(): Promise<ClientStore>;
  clear(): Promise<void>;
}

const bytes = (...values: number[]) => new Uint8Array(values);

export function clientStoreContract(name: string, makePlace: () => Promise<StorePlace>): void {
  const inPlace = (body: (place: StorePlace) => Promise<void>) => async () => {
    const place = await makePlace();
    try {
      await body(place);
    } finally {
      await place.clear();
    }
  };

  describe(`${name} store`, () => {
    it(
      "a new store is empty",
      inPlace(async (place) => {
        const store = await place.open();
        expect(await store.load()).toEqual(new Map());
        await store.close();
      }),
    );

    it(
      "what was written is found by the next one, byte for byte",
      inPlace(async (place) => {
        const all = Uint8Array.from({ length: 256 }, (_, at) => at);
        const first = await place.open();
        await first.load();
        await first.write([
          { key: "out/d1.2/1", value: all },
          { key: "empty", value: bytes() },
        ]);
        await first.close();
        const second = await place.open();
        const records = await second.load();
        expect([...(records.get("out/d1.2/1") ?? [])]).toEqual([...all]);
        expect(records.get("empty")?.length).toBe(0);
        await second.close();
      }),
    );

    it(
      "writes that are not waited for are kept in the order of the calls (D1)",
      inPlace(async (place) => {
        const first = await place.open();
        await first.load();
        const writes = Array.from({ length: 20 }, (_, at) => first.write([{ key: "same", value: bytes(at) }]));
        await Promise.all([...writes, first.write([{ key: "other", value: bytes(1) }])]);
        await first.write([{ key: "other", value: undefined }]);
        await first.close();
        const second = await place.open();
        expect(await second.load()).toEqual(new Map([["same", bytes(19)]]));
        await second.close();
      }),
    );

    it(
      "a record that is given later than it was written may change without changing what is kept",
      inPlace(async (place) => {
        const first = await place.open();
        await first.load();
        const value = bytes(1, 2, 3);
        await first.write([{ key: "a", value: value.slice() }]);
        value[0] = 9;
        await first.close();
        const second = await place.open();
        expect((await second.load()).get("a")).toEqual(bytes(1, 2, 3));
        await second.close();
      }),
    );

    it(
      "a large record is kept",
      inPlace(async (place) => {
        const first = await place.open();
        await first.load();
        const value = new Uint8Array(400_000).fill(7);
        for (let at = 0; at < 20; at++) await first.write([{ key: "large", value }]);
        await first.write([{ key: "small", value: bytes(1) }]);
        await first.close();
        const second = await place.open();
        const records = await second.load();
        expect(records.get("large")?.length).toBe(400_000);
        expect(records.get("small")).toEqual(bytes(1));
        await second.close();
      }),
    );
  });
}
