// The one node that writes the table, while it holds the key. Off the path of every message: without it nothing moves.
//
// (C1) Every write is over the version that was read and under the key that this node holds, so an older coordinator's fails.
// (C2) A new term begins above all that anybody has seen (recover.ts).
// (C3) A shard whose owner was asked to hand it off gets a higher epoch in the end, whoever gets it.
// (C4) Nothing here has to be remembered: what is to be done is found anew from the table, the members, and what they repeat.
// (C5) A table that cannot be read is never written over.
// (C6) No more shards move at once than settings.movesAtOnce: one moves until its new owner serves it, or is late with that.

import type { SurveyReply, Tenures } from "../../proto/index.ts";
import { type Clock, pause } from "../clock.ts";
import { toMadangError } from "../errors.ts";
import { isEpoch } from "../fence.ts";
import type { Logger } from "../logger.ts";
import { type Candidate, plan } from "./balance.ts";
import { clusterErrors } from "./errors.ts";
import { Handoffs } from "./handoffs.ts";
import type { ControlBody } from "./messages.ts";
import type { ShardOwner } from "./port.ts";
import { recoverTable } from "./recover.ts";
import type { PlacementSettings } from "./settings.ts";
import type { PlacementStats } from "./stats.ts";
import type { PlacementStore, Stored } from "./store.ts";
import { type FullReport, Survey } from "./survey.ts";
import { changeTable, decodeTable, deltaBetween, type ShardChange, type ShardTable } from "./table.ts";
import { type CoordinatorValue, decodeCoordinator, encodeValue } from "./values.ts";

export interface CoordinatorOptions {
  readonly nodeId: string;
  readonly shardCount: number;
  readonly settings: PlacementSettings;
  readonly clock: Clock;
  readonly store: PlacementStore;
  readonly log: Logger;
  readonly stats: PlacementStats;
  /** Living nodes that own shards or could. */
  candidates(): readonly Candidate[];
  /** Whom to ask, beside this node itself. */
  peers(): readonly string[];
  /** What this node itself knows, for the survey of this term. */
  ownReport(term: number): SurveyReply;
  send(to: string, body: ControlBody): void;
  broadcast(body: ControlBody): void;
  /** A new table stands. */
  adopt(table: ShardTable): void;
  /** Somebody else holds the key. */
  deposed(by: CoordinatorValue | undefined): void;
}

/** Held: the key `coordinator`, as it was written. */
export interface Key {
  readonly term: number;
  readonly version: number;
}

type Phase = "recovering" | "working" | "halted" | "closed";

type Cause = keyof PlacementStats["moves"];

interface Pending {
  /** The shard has this epoch still; if not, somebody else was faster. */
  readonly epoch: number;
  /** If it still takes shards when the table is written. */
  readonly to: string;
  readonly cause: Cause;
  /** The new epoch is above this one as well. */
  readonly aboveEpoch: number;
}

interface Waiter {
  readonly to: string;
  readonly untilMs: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What an operator's move may take beyond the hand-off itself. */
const MOVE_GRACE_MS = 5_000;

export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #handoffs: Handoffs;
  readonly #survey: Survey;
  readonly #waiters = new Map<number, Waiter>();
  #pending = new Map<number, Pending>();
  #key: Key;
  #phase: Phase = "recovering";
  #table: ShardTable | undefined;
  #tableVersion = 0;
  #writing = false;

  constructor(key: Key, options: CoordinatorOptions) {
    this.#key = key;
    this.#options = options;
    this.#handoffs = new Handoffs({ ...options, term: () => this.term });
    this.#survey = new Survey({ ...options, surveyMs: options.settings.surveyMs });
    void this.#recover();
  }

  get term(): number {
    return this.#key.term;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get handoffs(): number {
    return this.#handoffs.size;
  }

  close(): void {
    this.#phase = "closed";
    this.#survey.close();
    for (const { reject } of this.#waiters.values()) reject(clusterErrors.NOT_COORDINATOR());
    this.#waiters.clear();
  }

  /** Hands the key to nobody, so that the next coordinator need not wait. */
  async resign(): Promise<void> {
    this.close();
    const value = { term: this.term, nodeId: "" };
    await this.#options.store.write("coordinator", encodeValue(value), this.#key.version);
  }

  // ---- a term begins (C2)

  async #recover(): Promise<void> {
    this.#become("recovering");
    this.#handoffs.clear();
    this.#pending.clear();
    const reports = await this.#untilRecovered();
    this.#become("working");
    for (const { nodeId, released } of reports) this.handoffDone(nodeId, released); // (C3) asked for by another
    this.tick();
  }

  async #untilRecovered(): Promise<readonly FullReport[]> {
    const { log, clock, settings } = this.#options;
    let reports: readonly FullReport[] | undefined;
    while (!this.#isClosed() && reports === undefined) {
      try {
        reports = await this.#recoverOnce();
      } catch (thrown) {
        const error = toMadangError(thrown);
        const corrupt = error.code === "PLACEMENT_CORRUPT";
        if (corrupt && !this.#isHalted()) {
          log.error({ error }, "the placement table cannot be read; nothing moves until an operator removes it");
        }
        if (corrupt) this.#become("halted");
        else if (error.code === "INTERNAL") log.error({ error }, "the coordinator failed");
        await pause(clock, corrupt ? settings.corruptRetryMs : settings.storeRetryMs);
      }
    }
    return reports ?? [];
  }

  /** What everybody told, when the table stands; undefined if it has to be tried again. */
  async #recoverOnce(): Promise<readonly FullReport[] | undefined> {
    const { store, shardCount, settings, stats, clock, log } = this.#options;
    if (!(await this.#holdsKey())) return undefined;
    // Asked before the table is read: nobody can know of more than is read then, unless Consul's data went back.
    const reports = await this.#survey.ask(this.term);
    const highestTerm = Math.max(...reports.map(({ highestTerm }) => highestTerm));
    if (highestTerm > this.term && !(await this.#takeKey(this.#key.version, highestTerm + 1))) return undefined;
    const stored = await store.read("placement");
    const read = stored && this.#decode(stored);
    const { table, agreed } = recoverTable(this.term, read, reports, shardCount, settings.epochGap);
    if (!this.#anyOwnerIsHere(table)) await pause(clock, settings.settleMs);
    if (this.#phase === "closed") return undefined;
    if (!agreed) {
      stats.lifts += 1;
      log.warn({ term: this.term, version: table.version }, "Consul's data went back: all epochs rise");
    }
    this.#tableVersion = stored?.version ?? 0;
    const placed = this.#orphans(table);
    const next = changeTable(table, this.term, placed);
    if (!(await this.#write(next))) return undefined;
    stats.moves.orphans += placed.length;
    if (!this.#isClosed()) this.#stand(table, next);
    return reports;
  }

  #decode(stored: Stored): ShardTable {
    try {
      return decodeTable(stored.bytes, this.#options.shardCount);
    } catch (error) {
      this.#options.stats.corrupt += 1;
      throw error;
    }
  }

  #anyOwnerIsHere({ owners }: ShardTable): boolean {
    const here = new Set(this.#options.candidates().map(({ nodeId }) => nodeId));
    return owners.some(({ nodeId }) => here.has(nodeId));
  }

  #orphans(table: ShardTable): ShardChange[] {
    const owners = table.owners.map(({ nodeId }) => nodeId);
    const { orphans } = plan(owners, this.#options.candidates(), this.#options.settings.unfairShare);
    return orphans.map(({ shard, to }) => ({
      shard,
      owner: { nodeId: to, epoch: (table.owners[shard] as ShardOwner).epoch + 1 },
    }));
  }

  surveyed(from: string, reply: SurveyReply): void {
    if (reply.term === this.term) this.#survey.heard(from, reply);
  }

  // ---- the key (C1)

  /** Looks whether this node is the coordinator still. Where Consul's data went back, it takes the key again. */
  async #holdsKey(): Promise<boolean> {
    const stored = await this.#options.store.read("coordinator");
    if (stored?.version === this.#key.version) return true;
    const value = stored && decodeCoordinator(stored.bytes);
    const ours = value?.nodeId === this.#options.nodeId;
    if (value !== undefined && (value.term > this.term || (value.term === this.term && !ours))) {
      this.#depose(value);
      return false;
    }
    return this.#takeKey(stored?.version ?? 0, this.term + 1);
  }

  async #takeKey(over: number, term: number): Promise<boolean> {
    const { store, nodeId } = this.#options;
    const version = await store.write("coordinator", encodeValue({ term, nodeId }), over);
    if (version === undefined) return false; // read again
    this.#key = { term, version };
    return true;
  }

  #depose(by: CoordinatorValue | undefined): void {
    if (this.#phase === "closed") return;
    this.close();
    this.#options.deposed(by);
  }

  // ---- writing

  async #write(next: ShardTable): Promise<boolean> {
    const { store, stats } = this.#options;
    const guard = { key: "coordinator", version: this.#key.version } as const;
    const version = await store.write("placement", next.bytes, this.#tableVersion, guard);
    if (version === undefined) {
      stats.casConflicts += 1;
      return false;
    }
    this.#tableVersion = version;
    return true;
  }

  /** The table is written: this node knows first, then the others. */
  #stand(before: ShardTable, next: ShardTable): void {
    this.#table = next;
    const delta = deltaBetween(before, next);
    this.#options.adopt(next);
    this.#options.broadcast({ delta });
    for (const shard of delta.shards) this.#moved(shard, next.owners[shard] as ShardOwner);
  }

  #moved(shard: number, owner: ShardOwner): void {
    this.#handoffs.given(shard, owner);
    const waiter = this.#waiters.get(shard);
    if (waiter === undefined) return;
    this.#waiters.delete(shard);
    if (owner.nodeId === waiter.to) waiter.resolve();
    else waiter.reject(clusterErrors.NOT_MOVED({ message: `shard ${shard} went to ${owner.nodeId}` }));
  }

  /** What has gathered goes in one write; what comes meanwhile goes in the next. */
  async #flush(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    try {
      while (this.#pending.size > 0 && this.#phase === "working" && this.#table !== undefined) {
        const batch = this.#pending;
        this.#pending = new Map();
        const before = this.#table;
        const changes = this.#resolve(before, batch);
        if (changes.length === 0) continue;
        const next = changeTable(before, this.term, changes);
        if (!(await this.#write(next))) {
          void this.#recover();
          break;
        }
        if (this.#isClosed()) break;
        this.#stand(before, next);
        for (const { shard } of changes) this.#options.stats.moves[(batch.get(shard) as Pending).cause] += 1;
      }
    } catch (thrown) {
      // Whether the write took effect is unknown: look. All that was in it is found again (C4).
      this.#options.log.warn({ error: toMadangError(thrown) }, "the placement table could not be written");
      if (this.#phase === "working") void this.#recover();
    } finally {
      this.#writing = false;
    }
    this.#plan(); // there is room for more
    if (this.#pending.size > 0 && this.#phase === "working") void this.#flush();
  }

  #resolve(table: ShardTable, batch: ReadonlyMap<number, Pending>): ShardChange[] {
    const candidates = this.#options.candidates();
    const takers = new Set(candidates.filter(({ takes, draining }) => takes && !draining).map(({ nodeId }) => nodeId));
    const changes: ShardChange[] = [];
    const homeless: number[] = [];
    for (const [shard, { epoch: known, to, aboveEpoch }] of batch) {
      const owner = table.owners[shard] as ShardOwner;
      if (owner.epoch !== known) continue;
      const epoch = Math.max(owner.epoch, aboveEpoch) + 1;
      if (takers.has(to)) changes.push({ shard, owner: { nodeId: to, epoch } });
      else homeless.push(shard);
    }
    if (homeless.length === 0) return changes;
    // Their targets have gone, or were never named.
    const owners = table.owners.map(({ nodeId }) => nodeId);
    for (const { shard, owner } of changes) owners[shard] = owner.nodeId;
    for (const shard of homeless) owners[shard] = "";
    const { orphans } = plan(owners, candidates, this.#options.settings.unfairShare);
    const chosen = new Map(orphans.map(({ shard, to }) => [shard, to]));
    for (const shard of homeless) {
      const owner = table.owners[shard] as ShardOwner;
      const keeps = candidates.some(({ nodeId }) => nodeId === owner.nodeId) ? owner.nodeId : undefined;
      const nodeId = chosen.get(shard) ?? keeps;
      const aboveEpoch = (batch.get(shard) as Pending).aboveEpoch;
      if (nodeId !== undefined)
        changes.push({ shard, owner: { nodeId, epoch: Math.max(owner.epoch, aboveEpoch) + 1 } });
    }
    return changes;
  }

  // ---- the work (C4)

  tick(): void {
    if (this.#phase !== "working") return;
    const nowMs = this.#options.clock.monotonicMs();
    const here = new Set(this.#options.candidates().map(({ nodeId }) => nodeId));
    const stuck = this.#handoffs.tend(here, (shard) => this.#pending.has(shard));
    for (const { shard, to, cause } of stuck) this.#change(shard, to, cause);
    for (const [shard, { untilMs, reject }] of this.#waiters) {
      if (nowMs < untilMs) continue;
      this.#waiters.delete(shard);
      reject(clusterErrors.NOT_MOVED());
    }
    this.#plan();
    void this.#flush();
  }

  #plan(): void {
    const table = this.#table;
    if (this.#phase !== "working" || this.#writing || table === undefined) return;
    const nodes = this.#options.candidates();
    const here = new Set(nodes.map(({ nodeId }) => nodeId));
    // As it will be when all that has begun is done.
    const owners = table.owners.map(({ nodeId }, shard) => {
      const to = this.#pending.get(shard)?.to ?? this.#handoffs.targetOf(shard);
      return to !== undefined && here.has(to) ? to : nodeId;
    });
    const { orphans, moves } = plan(owners, nodes, this.#options.settings.unfairShare);
    for (const { shard, to } of orphans) this.#change(shard, to, "orphans");
    const underWay = (shard: number) => this.#handoffs.has(shard) || this.#pending.has(shard);
    const room = Math.max(0, this.#options.settings.movesAtOnce - this.#handoffs.onTheWay()); // (C6)
    this.#handoffs.begin(moves.filter(({ shard }) => !underWay(shard)).slice(0, room), table.owners);
  }

  /** In the next write. */
  #change(shard: number, to: string, cause: Cause, aboveEpoch = 0): void {
    const owner = this.#table?.owners[shard];
    if (owner !== undefined) this.#pending.set(shard, { epoch: owner.epoch, to, cause, aboveEpoch });
  }

  // ---- what members tell

  /** (C3) Also of hand-offs that another coordinator has asked for. */
  handoffDone(from: string, { shards, epochs }: Tenures): void {
    if (this.#phase !== "working") return; // it is repeated
    shards.forEach((shard, at) => {
      const owner = this.#table?.owners[shard];
      if (owner === undefined || owner.nodeId !== from || owner.epoch !== epochs[at]) return;
      if (!this.#pending.has(shard)) this.#change(shard, this.#handoffs.targetOf(shard) ?? "", "handoffs");
    });
    void this.#flush();
  }

  serving(tenures: Tenures): void {
    if (this.#phase !== "working") return;
    this.#handoffs.served(tenures);
    this.#plan(); // there is room for more
    void this.#flush();
  }

  /** The owner keeps the shard, at an epoch above what it saw at the store. */
  lost(from: string, { shards, epochs }: Tenures, highestEpochs: readonly number[]): void {
    if (this.#phase !== "working" || this.#table === undefined) return;
    for (const [at, shard] of shards.entries()) {
      const owner = this.#table.owners[shard];
      const seen = highestEpochs[at] ?? 0;
      if (owner === undefined || !isEpoch(seen + this.#options.settings.epochGap)) continue;
      const current = owner.nodeId === from && owner.epoch === epochs[at];
      if (current || seen > owner.epoch) this.#change(shard, owner.nodeId, "lost", seen);
    }
    void this.#flush();
  }

  /** What Consul shows, or what a member says that it has, may be more than this node knows: then the data went back. */
  compare(version: number, digest: number): void {
    if (this.#phase !== "working" || this.#writing || this.#table === undefined) return;
    if (version < this.#table.version || (version === this.#table.version && digest === this.#table.digest)) return;
    void this.#recover();
  }

  /** Consul shows this table: older than the one that was written, or none, means that the data went back. */
  async shown(stored: Stored | undefined): Promise<void> {
    if (this.#phase !== "working" || this.#writing || stored?.version === this.#tableVersion) return;
    try {
      // What a watch shows may be late; this is not.
      const now = await this.#options.store.read("placement");
      if (!this.#isWorking() || this.#writing || now?.version === this.#tableVersion) return;
      void this.#recover();
    } catch (error) {
      this.#options.log.debug({ error }, "the placement table could not be read");
    }
  }

  // ---- the operator

  /** Resolves when the table says so. `to` is a node id. */
  move(shard: number, to: string, force: boolean): Promise<void> {
    const { candidates, clock, settings } = this.#options;
    const owners = this.#table?.owners ?? [];
    const owner = owners[shard];
    if (this.#phase !== "working") return Promise.reject(clusterErrors.NOT_MOVED({ message: "no table stands yet" }));
    if (owner === undefined) return Promise.reject(clusterErrors.NO_SUCH_SHARD());
    if (!candidates().some(({ nodeId, takes, draining }) => nodeId === to && takes && !draining))
      return Promise.reject(clusterErrors.NO_SUCH_NODE({ message: `${to} takes no shards` }));
    if (owner.nodeId === to && !this.#handoffs.has(shard)) return Promise.resolve();
    this.#waiters.get(shard)?.reject(clusterErrors.NOT_MOVED());
    const untilMs = clock.monotonicMs() + settings.handoffMs + MOVE_GRACE_MS;
    return new Promise((resolve, reject) => {
      this.#waiters.set(shard, { to, untilMs, resolve, reject });
      if (force) this.#change(shard, to, "forced");
      else if (this.#handoffs.has(shard)) this.#handoffs.redirect(shard, to);
      else this.#handoffs.begin([{ shard, to }], owners);
      void this.#flush();
    });
  }

  #become(phase: Phase): void {
    if (this.#phase !== "closed") this.#phase = phase;
  }

  // Asked after a wait, in which the phase may have changed.

  #isClosed(): boolean {
    return this.#phase === "closed";
  }

  #isHalted(): boolean {
    return this.#phase === "halted";
  }

  #isWorking(): boolean {
    return this.#phase === "working";
  }
}
