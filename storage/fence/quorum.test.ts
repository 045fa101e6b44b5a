import { expect, it } from "vitest";
import { createVirtualClock, seededRandom } from "../../runtime/index.ts";
import { createReplicas, fairWeather } from "../memory/replicas.ts";
import { storageDefaults } from "../settings.ts";
import { QuorumFence } from "./quorum.ts";

async function verifiesIn(forMs: number, fullShare: number): Promise<number> {
  const clock = createVirtualClock();
  const weather = { ...fairWeather, fullShare };
  const replicas = createReplicas({ clock, random: seededRandom(1), weather, timeoutMs: 50 });
  const fence = new QuorumFence({ store: replicas.storeFor("a"), owner: "a#1", clock });
  const tenure = { shard: 1, epoch: 1 };
  const claimed = fence.claim(tenure);
  await clock.advance(100);
  await claimed;
  const before = fence.verifyReads;
  for (let ms = 0; ms < forMs; ms++) {
    void fence.verify(tenure);
    await clock.advance(1);
  }
  fence.close();
  return fence.verifyReads - before;
}

it("a full store is asked for revocations once in a while, and another one whenever something is to be covered", async () => {
  const { verifyEveryFullMs } = storageDefaults;
  expect(await verifiesIn(10 * verifyEveryFullMs - 1, 1)).toBe(10);
  expect(await verifiesIn(10 * verifyEveryFullMs, 0)).toBeGreaterThan(5 * verifyEveryFullMs);
});
