// The fence where one process has the data: its lock keeps others out, so what is left of the rules is that epochs rise.
// Several nodes in one process, as in tests, share one Claims, and each has a fence of its own.
//
// (F1)–(F4) of runtime/fence.ts hold because a claim is looked at and made in one step of the event loop; older owners are
// revoked in the same step, and every append and every verify looks.

import { runtimeErrors, type ShardFence, type Tenure } from "../../runtime/index.ts";
import { numberBytes, numberFrom } from "../kv/numbers.ts";
import type { KeyValue } from "../kv/port.ts";

/** What else ends with a tenure. Called when it was lost. */
export type LossListener = (tenure: Tenure, highestEpoch: number) => void;

interface Claim {
  readonly epoch: number;
  readonly owner: LocalFence;
}

/** One row a shard: its highest claimed epoch. Never deleted. */
const ONLY_CLUSTER = new Uint8Array(0);

export class Claims {
  readonly #keyValue: KeyValue;
  /** By shard, of which there are a fixed number. */
  readonly #made = new Map<number, Claim>();

  constructor(keyValue: KeyValue) {
    this.#keyValue = keyValue;
  }

  highestEpoch(shard: number): number {
    const made = this.#made.get(shard)?.epoch;
    if (made !== undefined) return made;
    const row = this.#keyValue.get("claim", String(shard), ONLY_CLUSTER);
    return row === undefined ? -1 : numberFrom(row);
  }

  holds(owner: LocalFence, tenure: Tenure): boolean {
    const claim = this.#made.get(tenure.shard);
    return claim !== undefined && claim.owner === owner && claim.epoch === tenure.epoch;
  }

  /** False when the shard was claimed at this epoch or a higher one. */
  make(owner: LocalFence, { shard, epoch }: Tenure): boolean {
    if (this.highestEpoch(shard) >= epoch) return false;
    const before = this.#made.get(shard);
    this.#made.set(shard, { epoch, owner });
    before?.owner.revoked({ shard, epoch: before.epoch }, epoch);
    return true;
  }

  /** From now on nobody holds it. */
  drop({ shard }: Tenure): void {
    this.#made.delete(shard);
  }

  keep({ shard, epoch }: Tenure): Promise<void> {
    return new Promise((kept) => {
      const value = numberBytes(epoch);
      const keeper = { kept };
      this.#keyValue.put({ table: "claim", partition: String(shard), cluster: ONLY_CLUSTER, value, keeper });
    });
  }
}

export class LocalFence implements ShardFence {
  readonly #claims: Claims;
  readonly #listeners: LossListener[] = [];
  /** By shard, the highest epoch told as lost: an epoch is claimed only above those before it. */
  readonly #lost = new Map<number, number>();

  constructor(claims: Claims) {
    this.#claims = claims;
  }

  async claim(tenure: Tenure): Promise<void> {
    if (!this.holds(tenure) && !this.#claims.make(this, tenure)) throw this.#refuse(tenure);
    // Writes are kept in their order, so everything that the owner before had in flight is kept when this is.
    await this.#claims.keep(tenure);
    await this.verify(tenure);
  }

  async verify(tenure: Tenure): Promise<void> {
    if (!this.holds(tenure)) throw this.#refuse(tenure);
  }

  onLost(listener: LossListener): void {
    this.#listeners.push(listener);
  }

  lose(tenure: Tenure, highestEpoch: number): void {
    if (!this.holds(tenure)) return;
    this.#claims.drop(tenure);
    this.revoked(tenure, highestEpoch);
  }

  holds(tenure: Tenure): boolean {
    return this.#claims.holds(this, tenure);
  }

  revoked(tenure: Tenure, highestEpoch: number): void {
    if ((this.#lost.get(tenure.shard) ?? -1) >= tenure.epoch) return;
    this.#lost.set(tenure.shard, tenure.epoch);
    for (const listener of this.#listeners) listener(tenure, highestEpoch);
  }

  #refuse(tenure: Tenure): Error {
    const highestEpoch = this.#claims.highestEpoch(tenure.shard);
    this.revoked(tenure, highestEpoch);
    return shardLost(tenure, highestEpoch);
  }
}

export function shardLost(tenure: Tenure, highestEpoch: number): Error {
  return runtimeErrors.SHARD_LOST({
    message: `Shard ${tenure.shard} is no longer held at epoch ${tenure.epoch}.`,
    detail: { shard: tenure.shard, epoch: tenure.epoch, highestEpoch },
  });
}
