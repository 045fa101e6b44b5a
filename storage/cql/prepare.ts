// Statements are prepared when a node starts, not when they are first needed: that is in the middle of its first hand-off, on
// every member one after another, and a member that is paused holds it up for seconds.

import type { Client, policies } from "cassandra-driver";
import PrepareHandler from "cassandra-driver/lib/prepare-handler.js";
import type { Logger } from "../../runtime/index.ts";

interface Profiles {
  getDefaultLoadBalancing(): policies.loadBalancing.LoadBalancingPolicy;
}

/** What fails is prepared by the driver when it is needed. */
export async function prepareAll(driver: Client, queries: readonly string[], log: Logger): Promise<void> {
  const { profileManager } = driver as unknown as { readonly profileManager: Profiles };
  const loadBalancing = profileManager.getDefaultLoadBalancing();
  const prepare = async (query: string) => {
    try {
      await PrepareHandler.getPrepared(driver, loadBalancing, query, driver.keyspace);
    } catch (error) {
      log.debug({ error, query }, "a statement could not be prepared yet");
    }
  };
  await Promise.all(queries.map(prepare));
}
