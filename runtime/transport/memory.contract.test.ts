import { systemClock } from "../clock.ts";
import { transportContract } from "./contract.ts";
import { createMemoryNetwork } from "./memory.ts";

transportContract("in memory", async () => {
  const network = createMemoryNetwork({ clock: systemClock });
  return { join: async (nodeId) => network.join(nodeId), settle: async () => {}, close: async () => {} };
});
