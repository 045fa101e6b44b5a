// The fence as the runtime sees it: who may act for a shard. Implemented in storage/.
//
// Invariants (docs/fence.md tells why they hold):
// (F1) A tenure is active only after claim() resolved; two nodes are never active at the same (shard, epoch).
// (F2) Whoever was active before is revoked before claim() resolves, so it can promise nothing more.
// (F3) verify() resolves only if nobody had revoked the tenure when a read, started after the call, looked.
// (F4) Lost is final: a lost (shard, epoch) never becomes active again in this process.

/** One stretch of ownership: this node acts for this shard, under this epoch. */
export interface Tenure {
  readonly shard: number;
  readonly epoch: number;
}

export interface ShardFence {
  /** Once a tenure, before anything is read or written under it. Rejects with SHARD_LOST. */
  claim(tenure: Tenure): Promise<void>;
  /** Rejects with SHARD_LOST. One read of the store serves all calls that wait for it. */
  verify(tenure: Tenure): Promise<void>;
  /** Another owner is known to have the shard: the tenure ends here as if it had been found lost. Final (F4). */
  lose(tenure: Tenure, highestEpoch: number): void;
  /** Called once for each tenure that was found lost, with the highest epoch seen. */
  onLost(listener: (tenure: Tenure, highestEpoch: number) => void): void;
}

/** `epoch × 2^24 + n`: a write timestamp that no older owner can reach, exact in a number, below any store's clock. */
export function stamp(epoch: number, n: number): number {
  return epoch * 16_777_216 + n;
}

export const EPOCH_MAX = 2 ** 26 - 1;

export function isEpoch(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= EPOCH_MAX;
}
