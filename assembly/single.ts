// One node without any server beside it: embedded stores in one folder, and a cluster of one.

import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClusterConfig } from "../cluster.config.ts";
import type { SigningKey } from "../gateway/index.ts";
import { type Clock, createMemoryCluster, type Logger, type Role } from "../runtime/index.ts";
import { openEmbeddedAccounts } from "../storage/accounts/index.ts";
import { openEmbeddedStores } from "../storage/index.ts";
import type { Addresses, Closer, Foundation } from "./foundation.ts";

const roles: readonly Role[] = ["actors", "gateway", "api", "push"];

export async function openSingle(
  config: ClusterConfig,
  clock: Clock,
  log: Logger,
  closers: Closer[],
): Promise<Foundation> {
  const folder = config.node.data;
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o700); // other people's messages are in it
  const stores = await openEmbeddedStores({ folder, clock, settings: config.storage, log });
  closers.push(() => stores.close());
  const accounts = await openEmbeddedAccounts({ folder: join(folder, "accounts"), clock });
  closers.push(() => accounts.close());
  const nodeId = `${process.pid}#${stores.bootEpoch}`;
  const cluster = createMemoryCluster({
    clock,
    shardCount: config.runtime.shardCount,
    firstEpoch: stores.bootEpoch,
  });
  let addresses: Addresses | undefined;
  return {
    nodeId,
    roles: new Set(roles),
    seat: cluster.join(nodeId, roles),
    stores,
    accounts,
    key: signingKey(folder),
    numbers: undefined,
    gateways: () =>
      addresses === undefined ? [] : [{ url: addresses.wsUrl, region: "", sessions: 0, sessionsMax: 1 }],
    async join(given) {
      addresses = given;
      cluster.spread();
    },
    connected: () => true,
    tellSessions() {},
    onDrain() {},
    async drain() {},
  };
}

/** Made with the first start and kept beside the data, readable by nobody else. */
function signingKey(folder: string): SigningKey {
  const file = join(folder, "signing.key");
  try {
    writeFileSync(file, randomBytes(32), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return new Uint8Array(readFileSync(file));
}
