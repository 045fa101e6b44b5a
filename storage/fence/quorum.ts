// The fence on a store with replicas: claim, revoke, verify (FENCE rules 1 and 4).
//
// (F1)–(F4) of runtime/fence.ts. No two claimants miss each other, because each writes its claim before it reads the
// claims; whoever was active before is revoked, on a quorum, before claim() resolves; and a verify that began before the
// revocation was complete covers only what the new owner will read.

import {
  type Clock,
  type Logger,
  runtimeErrors,
  type ShardFence,
  silentLogger,
  type Tenure,
} from "../../runtime/index.ts";
import { storageErrors } from "../errors.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import { type Insistence, insist } from "./insist.ts";
import { type LossListener, shardLost } from "./local.ts";
import type { Mutations } from "./mutations.ts";
import type { ClaimRow, QuorumStore } from "./port.ts";
import { type Covered, Verifier } from "./verifier.ts";

export interface QuorumFenceOptions extends Mutations {
  readonly store: QuorumStore;
  /** This node incarnation: new at each start of the process. */
  readonly owner: string;
  readonly clock: Clock;
  readonly settings?: StorageSettings;
  readonly log?: Logger;
}

type Holding =
  | { readonly phase: "claiming"; readonly epoch: number; readonly done: Promise<void> }
  | { readonly phase: "active"; readonly epoch: number }
  | { readonly phase: "lost"; readonly epoch: number; readonly highestEpoch: number };

export class QuorumFence implements ShardFence {
  readonly #options: QuorumFenceOptions;
  readonly #insistence: Insistence;
  readonly #verifier: Verifier;
  readonly #listeners: LossListener[] = [];
  /** By shard, of which there are a fixed number. */
  readonly #holdings = new Map<number, Holding>();
  #closed = false;

  constructor(options: QuorumFenceOptions) {
    const { clock, settings = storageDefaults, log = silentLogger, leaveOut } = options;
    this.#options = options;
    this.#insistence = { clock, settings, log };
    const read = (shards: ReadonlySet<number>) => this.#readRevocations(shards);
    this.#verifier = new Verifier({
      read,
      clock,
      atOnce: settings.verifiesAtOnce,
      lateMs: settings.verifyLateMs,
      isFull: () => options.store.isFull(),
      everyFullMs: settings.verifyEveryFullMs,
      leaveOut,
    });
  }

  get verifyReads(): number {
    return this.#verifier.reads;
  }

  // ---- rule 1

  claim(tenure: Tenure): Promise<void> {
    const held = this.#holdings.get(tenure.shard);
    if (held !== undefined && held.epoch >= tenure.epoch) {
      if (held.epoch === tenure.epoch && held.phase === "claiming") return held.done;
      if (held.epoch === tenure.epoch && held.phase === "active") return this.verify(tenure);
      return Promise.reject(shardLost(tenure, held.phase === "lost" ? held.highestEpoch : held.epoch));
    }
    if (held !== undefined && held.phase !== "lost") this.lose({ ...tenure, epoch: held.epoch }, tenure.epoch);
    const done = Promise.resolve().then(() => this.#claim(tenure)); // after the line below
    this.#holdings.set(tenure.shard, { phase: "claiming", epoch: tenure.epoch, done });
    return done;
  }

  async #claim(tenure: Tenure): Promise<void> {
    const { store, owner, leaveOut } = this.#options;
    const { shard, epoch } = tenure;
    const mine: ClaimRow = { epoch, owner };
    const insert = () => this.#untilDone(tenure, () => store.insertClaim(shard, mine));
    const read = () => this.#untilDone(tenure, () => store.readClaims(shard));

    let claims: ClaimRow[];
    if (leaveOut === "claimFirst") {
      claims = await read();
      await insert();
    } else {
      await insert();
      claims = await read();
    }
    const rivals = claims.filter((claim) => claim.epoch > epoch || (claim.epoch === epoch && claim.owner !== owner));
    if (rivals.length > 0 && leaveOut !== "giveUp") {
      const highestEpoch = Math.max(...rivals.map((claim) => claim.epoch));
      this.lose(tenure, highestEpoch);
      throw shardLost(tenure, highestEpoch);
    }
    const older = claims.filter((claim) => claim.epoch < epoch).sort((a, b) => b.epoch - a.epoch);
    if (leaveOut === "cleanUpLast") await this.#cleanUp(shard, older);
    const revoked = leaveOut === "revokeAll" ? older.slice(0, 1) : older;
    const owners = new Set(revoked.map((claim) => claim.owner));
    await Promise.all(
      [...owners].map((other) => this.#untilDone(tenure, () => store.insertRevocation(other, shard, epoch))),
    );
    if (!this.#isClaiming(tenure)) throw this.#refusal(tenure);
    this.#holdings.set(shard, { phase: "active", epoch });
    if (leaveOut !== "cleanUpLast") void this.#cleanUp(shard, older);
  }

  /** Claims that are left behind do no harm: the next owner revokes their owners once more, and tries to delete them. */
  async #cleanUp(shard: number, older: readonly ClaimRow[]): Promise<void> {
    if (older.length === 0) return;
    try {
      await this.#options.store.deleteClaims(shard, older);
    } catch (error) {
      this.#insistence.log.debug({ shard, error }, "older claims were left behind");
    }
  }

  async #untilDone<T>(tenure: Tenure, attempt: () => Promise<T>): Promise<T> {
    let result: { readonly value: T } | undefined;
    await insist(
      this.#insistence,
      async () => {
        result = { value: await attempt() };
      },
      () => !this.#closed && this.#isClaiming(tenure),
    );
    if (result === undefined) throw this.#refusal(tenure);
    return result.value;
  }

  #isClaiming({ shard, epoch }: Tenure): boolean {
    const held = this.#holdings.get(shard);
    return held?.phase === "claiming" && held.epoch === epoch;
  }

  // ---- rule 4

  verify(tenure: Tenure): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.holds(tenure)) return reject(this.#refusal(tenure));
      this.cover({
        shard: tenure.shard,
        asked: false,
        covered: () => (this.holds(tenure) ? resolve() : reject(this.#refusal(tenure))),
      });
    });
  }

  /** Tells when a read that starts from now on is done. Whoever asks then looks at `holds`. */
  cover(request: Covered): void {
    this.#verifier.cover(request);
  }

  async #readRevocations(shards: ReadonlySet<number>): Promise<boolean> {
    const { store, owner } = this.#options;
    const revocations = await insist(
      this.#insistence,
      () => store.readRevocations(owner, [...shards]),
      () => !this.#closed,
    );
    if (revocations === undefined) return false;
    for (const [shard, epoch] of revocations) {
      const held = this.#holdings.get(shard);
      if (held !== undefined && held.phase !== "lost" && epoch > held.epoch) {
        this.lose({ shard, epoch: held.epoch }, epoch);
      }
    }
    return true;
  }

  // ---- who holds

  holds({ shard, epoch }: Tenure): boolean {
    const held = this.#holdings.get(shard);
    return held?.phase === "active" && held.epoch === epoch;
  }

  /** Also called by whoever meets a row of a higher epoch, or knows of another owner. Final for this tenure. */
  lose(tenure: Tenure, highestEpoch: number): void {
    const held = this.#holdings.get(tenure.shard);
    if (held === undefined || held.phase === "lost" || held.epoch !== tenure.epoch) return;
    this.#holdings.set(tenure.shard, { phase: "lost", epoch: tenure.epoch, highestEpoch });
    for (const listener of this.#listeners) listener(tenure, highestEpoch);
  }

  onLost(listener: LossListener): void {
    this.#listeners.push(listener);
  }

  #refusal(tenure: Tenure): Error {
    if (this.#closed) return runtimeErrors.SHUTTING_DOWN({ cause: storageErrors.STORE_CLOSED() });
    const held = this.#holdings.get(tenure.shard);
    return shardLost(tenure, held?.phase === "lost" ? held.highestEpoch : (held?.epoch ?? tenure.epoch));
  }

  /** Stops to try again what did not succeed. */
  close(): void {
    this.#closed = true;
  }
}
