import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, systemClock } from "../../runtime/index.ts";
import { createMemoryStores, openEmbeddedStores, type SharedStores } from "../../storage/index.ts";
import { pushQueueContract, testSettings } from "./contract.ts";
import { openLocalPushQueue } from "./local.ts";

const on = (stores: SharedStores) =>
  openLocalPushQueue({ store: stores.jobs, clock: systemClock, settings: testSettings, log: silentLogger });

pushQueueContract("one node, in memory", async () => {
  const stores = createMemoryStores({ clock: systemClock });
  return { open: () => on(stores), close: () => stores.close() };
});

pushQueueContract("one node, embedded", async () => {
  const folder = await mkdtemp(join(tmpdir(), "madang-push-"));
  let stores: SharedStores | undefined;
  return {
    async open() {
      await stores?.close(); // the process was started again
      stores = await openEmbeddedStores({ folder, clock: systemClock });
      return on(stores);
    },
    async close() {
      await stores?.close();
      await rm(folder, { recursive: true });
    },
  };
});
