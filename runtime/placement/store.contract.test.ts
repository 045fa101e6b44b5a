import { pause, systemClock } from "../clock.ts";
import { createVirtualClock } from "../virtual-clock.ts";
import { storeContract } from "./store.contract.ts";
import { createMemoryStore } from "./store-memory.ts";

storeContract("memory", async () => {
  const clock = createVirtualClock();
  const memory = createMemoryStore({ clock });
  // Calls are answered by timers of the clock, so it has to go on while one waits.
  let open = true;
  const run = async () => {
    while (open) {
      await clock.advance(0);
      await pause(systemClock, 1);
    }
  };
  void run();
  return {
    connect: () => memory.connect("any"),
    remove: async (key) => memory.remove(key),
    wait: (ms) => clock.advance(ms),
    async close() {
      open = false;
    },
  };
});
