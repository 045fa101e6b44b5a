// Stores in memory: for tests, and for simulated clusters of several nodes in one process.

import type { Clock } from "../../runtime/index.ts";
import { openMemoryKeyValue } from "../kv/memory.ts";
import { createLocalStores, type SharedStores } from "../local-stores.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";

export interface MemoryOptions {
  readonly clock: Clock;
  readonly settings?: Partial<StorageSettings>;
}

export function createMemoryStores({ clock, settings }: MemoryOptions): SharedStores {
  const limits = { ...storageDefaults, ...settings };
  return createLocalStores(openMemoryKeyValue(clock, limits), limits, 1, () => {});
}
