// Ids under a worker number that is leased. The lease is extended while ids are asked for; a node that mints nothing for so
// long lets its number go, and leases another with the next id.
//
// (L1) No id is told after the end of the own lease, which is counted from before it was asked for, on the monotonic clock.
// (L2) No id is minted of a tick at or below the last one that was kept for its number, whoever had that before. An id's tick is
//      kept before the id is told (S1), by the owner of the number only (W1). So two never mint the same, also if a clock lied.

import type { Clock } from "../../runtime/index.ts";
import { runtimeErrors } from "../../runtime/index.ts";
import { createSnowflakes, type Snowflakes } from "./snowflake.ts";
import type { WorkerLeases } from "./workers.ts";

export interface LeasedSnowflakes extends Snowflakes {
  /** Leases a number now, so that a node without one does not start. Rejects with NO_FREE_WORKER. */
  open(): Promise<void>;
  close(): Promise<void>;
}

export interface LeasedSnowflakesOptions {
  readonly clock: Clock;
  readonly leases: WorkerLeases;
  readonly leaseMs: number;
}

interface Held {
  readonly worker: number;
  readonly ids: Snowflakes;
  /** By the monotonic clock. */
  endsMs: number;
  phase: "ours" | "lost";
}

/** Leases that may end while an id is being minted. Three in a row are a node that stands still more than it runs. */
const LEASES_TRIED_MAX = 3;

export function createLeasedSnowflakes(options: LeasedSnowflakesOptions): LeasedSnowflakes {
  const { clock, leases, leaseMs } = options;
  let held: Held | undefined;
  let leasing: Promise<Held> | undefined;
  let extending: Promise<void> | undefined;

  const extend = async (lease: Held, lastTick: number): Promise<void> => {
    const sentMs = clock.monotonicMs();
    if (await leases.extend(lease.worker, lastTick)) lease.endsMs = Math.max(lease.endsMs, sentMs + leaseMs);
    else lease.phase = "lost";
  };

  const lease = async (): Promise<Held> => {
    const sentMs = clock.monotonicMs();
    const { worker, lastTick } = await leases.lease();
    const ids = await createSnowflakes(clock, worker, {
      lastTick: async () => lastTick,
      async reserve(tick) {
        await extend(fresh, tick);
        if (fresh.phase === "lost") throw runtimeErrors.UNAVAILABLE({ message: "The worker number is another's now." });
      },
    });
    const fresh: Held = { worker, ids, endsMs: sentMs + leaseMs, phase: "ours" };
    held = fresh;
    return fresh;
  };

  const leaseOnce = () => {
    leasing ??= lease().finally(() => {
      leasing = undefined;
    });
    return leasing;
  };

  /** Once at a time for all who ask for an id meanwhile. */
  const extendOnce = (lease: Held) => {
    extending ??= extend(lease, 0).finally(() => {
      extending = undefined;
    });
    return extending;
  };

  const hold = async (): Promise<Held> => {
    const lease = held;
    if (lease === undefined || lease.phase === "lost") return leaseOnce();
    const leftMs = lease.endsMs - clock.monotonicMs();
    if (leftMs > leaseMs / 2) return lease;
    const extended = extendOnce(lease);
    if (leftMs > 0) {
      extended.catch(() => undefined); // there is time: the next who asks tries again
      return lease;
    }
    await extended;
    return lease.phase === "ours" ? lease : leaseOnce();
  };

  return {
    async open() {
      await hold();
    },
    async next() {
      for (let tried = 0; tried < LEASES_TRIED_MAX; tried++) {
        const lease = await hold();
        try {
          const id = await lease.ids.next();
          if (clock.monotonicMs() < lease.endsMs) return id; // (L1)
        } catch (error) {
          if (lease.phase !== "lost") throw error;
        }
      }
      throw runtimeErrors.UNAVAILABLE({ message: "The lease of the worker number ends before an id is minted." });
    },
    async close() {
      if (held?.phase === "ours") await leases.giveBack(held.worker);
    },
  };
}
