import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../runtime/index.ts";
import { fenceContract } from "../fence/contract.ts";
import { jobContract } from "../jobs/contract.ts";
import { channelLogContract } from "../log/contract.ts";
import { registerContract } from "../registers/contract.ts";
import type { StorageSettings } from "../settings.ts";
import { wakeContract } from "../wake/contract.ts";
import { openEmbeddedStores } from "./stores.ts";

const twoNodes = (settings: Partial<StorageSettings>) => async () => {
  const folder = await mkdtemp(join(tmpdir(), "madang-storage-"));
  const one = await openEmbeddedStores({ folder, clock: systemClock, settings });
  return {
    one,
    other: one.forNode(),
    async close() {
      await one.close();
      await rm(folder, { recursive: true });
    },
  };
};

const oneNode = (settings: Partial<StorageSettings>) => async () => {
  const { one, close } = await twoNodes(settings)();
  return { stores: one, close };
};

const asItIs = {};
/** Every commit starts a segment, and rows lie in all layers at once. */
const sinking = { checkpointBytes: 1, checkpointWritesMax: 2 };

for (const [name, settings] of Object.entries({ embedded: asItIs, "embedded, sinking all the time": sinking })) {
  channelLogContract(name, twoNodes(settings));
  registerContract(name, oneNode(settings));
  wakeContract(name, oneNode(settings));
  jobContract(name, oneNode(settings));
  fenceContract(name, twoNodes(settings));
}
