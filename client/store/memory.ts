// A store that ends with its process: for tests, and for programs that need no outbox over restarts.

import type { ClientStore } from "./port.ts";

/** Stores made over the same `records` find each other's data, as a restarted program does. */
export function createMemoryStore(records = new Map<string, Uint8Array>()): ClientStore {
  return {
    load: async () => new Map(records),
    async write(changes) {
      for (const { key, value } of changes) {
        if (value === undefined) records.delete(key);
        else records.set(key, value);
      }
    },
    async close() {},
  };
}
