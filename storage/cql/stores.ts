// Stores for a node of a cluster: everything but the accounts, on a ring that speaks CQL (Cassandra, ScyllaDB).

import { type Clock, type Logger, runtimeErrors, silentLogger } from "../../runtime/index.ts";
import { QuorumFence } from "../fence/quorum.ts";
import { createFencedLogs } from "../log/fenced.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import type { StoreStats, Stores } from "../stores.ts";
import { CqlClient } from "./client.ts";
import { connect, forbidden, isForbidden, type RingAddress } from "./connect.ts";
import { assertMayWrite, claimIdentity } from "./identity.ts";
import { prepareAll } from "./prepare.ts";
import { createCqlQuorumStore, quorumStatements } from "./quorum-store.ts";
import { createCqlRegisters, registerStatements } from "./registers.ts";
import { assertSchema } from "./schema.ts";
import { createCqlWakeList, wakeStatements } from "./wake.ts";

export interface CqlOptions extends RingAddress {
  /** This node incarnation: new at each start of the process. */
  readonly owner: string;
  /** Of this node, the same at each start. */
  readonly nodeName?: string;
  readonly clusterName: string;
  readonly shardCount: number;
  readonly clock: Clock;
  readonly settings?: Partial<StorageSettings>;
  readonly log?: Logger;
}

/**
 * Rejects with STORE_UNREACHABLE, STORE_REFUSED, SCHEMA_MISSING, SCHEMA_TOO_NEW or CLUSTER_MISMATCH, and has then written
 * nothing; with UNAVAILABLE when the ring is there but has no quorum.
 */
export async function openCqlStores(options: CqlOptions): Promise<Stores> {
  const { keyspace, owner, clusterName, shardCount, clock, log = silentLogger } = options;
  const settings = { ...storageDefaults, ...options.settings };
  const connected = await connect(options, keyspace, settings, log, options.nodeName);
  const { driver } = connected;
  try {
    await assertSchema(driver, keyspace);
    await claimIdentity(driver, clock, keyspace, { clusterName, shardCount });
    await assertMayWrite(driver, clock, owner);
  } catch (error) {
    await driver.shutdown();
    if (isForbidden(error)) throw forbidden(options, error);
    if (!(error instanceof Error) || error.name === "MadangError") throw error;
    throw runtimeErrors.UNAVAILABLE({ message: `The ring has no quorum: ${error.message}`, cause: error });
  }

  await prepareAll(driver, [...quorumStatements, ...registerStatements, ...wakeStatements], log);

  let closed: Promise<void> | undefined;
  const attempts = { clock, settings, log, closed: () => closed !== undefined };
  const client = new CqlClient(connected, settings, clock);
  const store = createCqlQuorumStore(client, settings);
  const fence = new QuorumFence({ store, owner, clock, settings, log });
  let tenuresLost = 0;
  fence.onLost(() => {
    tenuresLost += 1;
  });
  const registers = createCqlRegisters(client, attempts);

  const stats = (): StoreStats => {
    const { written: cells } = store;
    const { written: cellsOfRegisters } = registers;
    const traffic = client.traffic();
    return {
      commits: cells.writes + cellsOfRegisters.writes,
      failedCommits: cells.failed + cellsOfRegisters.failed,
      writes: cells.rows + cellsOfRegisters.rows,
      bytes: cells.bytes + cellsOfRegisters.bytes,
      waitingWrites: traffic.waiting,
      waitingBytes: client.waitingBytes,
      heldBytes: 0,
      ring: {
        ...traffic,
        verifyReads: fence.verifyReads,
        tenuresLost,
        batches: cells.writes,
        batchRows: cells.rows,
      },
    };
  };

  return {
    logs: createFencedLogs({ store, fence, clock, settings, log }),
    registers,
    wake: createCqlWakeList(client, attempts),
    fence,
    stats,
    close() {
      if (closed === undefined) {
        fence.close();
        closed = client.close();
      }
      return closed;
    },
  };
}
