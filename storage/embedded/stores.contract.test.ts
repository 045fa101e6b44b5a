import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../runtime/index.ts";
import { fenceContract } from "../fence/contract.ts";
import { channelLogContract } from "../log/contract.ts";
import { registerContract } from "../registers/contract.ts";
import { wakeContract } from "../wake/contract.ts";
import { openEmbeddedStores } from "./stores.ts";

async function twoNodes() {
  const folder = await mkdtemp(join(tmpdir(), "madang-storage-"));
  const one = await openEmbeddedStores({ folder, clock: systemClock });
  return {
    one,
    other: one.forNode(),
    async close() {
      await one.close();
      await rm(folder, { recursive: true });
    },
  };
}

async function oneNode() {
  const { one, close } = await twoNodes();
  return { stores: one, close };
}

channelLogContract("embedded", twoNodes);
registerContract("embedded", oneNode);
wakeContract("embedded", oneNode);
fenceContract("embedded", twoNodes);
