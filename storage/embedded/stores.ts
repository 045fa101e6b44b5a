// Stores for one node without servers: one LMDB environment in one folder.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock, Logger } from "../../runtime/index.ts";
import { openLmdbKeyValue } from "../kv/lmdb.ts";
import { createLocalStores, type SharedStores } from "../local-stores.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import { lockFolder } from "./lock.ts";
import { prepareSchema } from "./schema.ts";

export interface EmbeddedOptions {
  /** Made if it is missing. */
  readonly folder: string;
  readonly clock: Clock;
  readonly settings?: Partial<StorageSettings>;
  readonly log?: Logger;
}

/** Rejects with DATA_FOLDER_IN_USE or SCHEMA_TOO_NEW. */
export async function openEmbeddedStores({ folder, clock, settings, log }: EmbeddedOptions): Promise<SharedStores> {
  const limits = { ...storageDefaults, ...settings };
  mkdirSync(folder, { recursive: true });
  const lock = lockFolder(folder);
  try {
    const keyValue = openLmdbKeyValue({ path: join(folder, "madang.mdb"), clock, settings: limits, log });
    const bootEpoch = await prepareSchema(keyValue.meta);
    return createLocalStores(keyValue, limits, bootEpoch, () => lock.release());
  } catch (error) {
    lock.release();
    throw error;
  }
}
