// Stores for one node without servers: a journal and LMDB in one folder.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, type Logger, silentLogger } from "../../runtime/index.ts";
import { openJournaledKeyValue } from "../kv/journaled.ts";
import { openLmdbRows } from "../kv/lmdb.ts";
import { createLocalStores, type SharedStores } from "../local-stores.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import { lockFolder } from "./lock.ts";
import { type Migration, migrations, prepareSchema } from "./schema.ts";

export interface EmbeddedOptions {
  /** Made if it is missing. */
  readonly folder: string;
  readonly clock: Clock;
  readonly settings?: Partial<StorageSettings>;
  readonly log?: Logger;
  /** Other steps than the house's own, for tests. */
  readonly steps?: readonly Migration[];
}

/** Rejects with DATA_FOLDER_IN_USE or SCHEMA_TOO_NEW. */
export async function openEmbeddedStores(options: EmbeddedOptions): Promise<SharedStores> {
  const { folder, clock, log = silentLogger, steps = migrations } = options;
  const settings = { ...storageDefaults, ...options.settings };
  await mkdir(folder, { recursive: true });
  const lock = lockFolder(folder);
  try {
    const base = openLmdbRows(join(folder, "madang.mdb"), settings.mapBytesMax);
    const bootEpoch = await prepareSchema(base.meta, steps);
    const keyValue = await openJournaledKeyValue({ folder, base, clock, settings, log });
    return createLocalStores(keyValue, settings, bootEpoch, () => lock.release());
  } catch (error) {
    lock.release();
    throw error;
  }
}
