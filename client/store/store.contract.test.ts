import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IDBFactory } from "fake-indexeddb";
import { clientStoreContract } from "./contract.ts";
import { createFileStore } from "./file.ts";
import { createIndexedDbStore } from "./indexeddb.ts";
import { createMemoryStore } from "./memory.ts";

clientStoreContract("memory", async () => {
  const records = new Map<string, Uint8Array>();
  return { open: async () => createMemoryStore(records), clear: async () => {} };
});

clientStoreContract("file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "madang-client-"));
  const path = join(folder, "deep", "state");
  return { open: () => createFileStore(path), clear: () => rm(folder, { recursive: true }) };
});

clientStoreContract("IndexedDB", async () => {
  const factory = new IDBFactory();
  return { open: () => createIndexedDbStore("madang", factory), clear: async () => {} };
});
