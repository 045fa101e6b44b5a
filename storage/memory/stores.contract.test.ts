import { systemClock } from "../../runtime/index.ts";
import { fenceContract } from "../fence/contract.ts";
import { jobContract } from "../jobs/contract.ts";
import { channelLogContract } from "../log/contract.ts";
import { registerContract } from "../registers/contract.ts";
import { wakeContract } from "../wake/contract.ts";
import { createMemoryStores } from "./stores.ts";

async function twoNodes() {
  const one = createMemoryStores({ clock: systemClock });
  return { one, other: one.forNode(), close: () => one.close() };
}

async function oneNode() {
  const stores = createMemoryStores({ clock: systemClock });
  return { stores, close: () => stores.close() };
}

channelLogContract("memory", twoNodes);
registerContract("memory", oneNode);
wakeContract("memory", oneNode);
fenceContract("memory", twoNodes);
jobContract("memory", oneNode);
