// This node's copy of the table, and what follows from it here: which shards it acts for, which it lets go.
//
// (D1) Versions only rise here, whatever Consul shows.
// (D2) This node acts under (shard, epoch) only if the epoch is above every one that it has seen for the shard. A table that
//      says otherwise is one of the past, and its coordinator is told so.
// (D3) A shard that was handed off, or found lost, is not acted for again before its epoch has risen; the coordinator is
//      reminded until it has.

import type { Tenures } from "../../proto/index.ts";
import { assert } from "../errors.ts";
import type { Tenure } from "../fence.ts";
import type { Logger } from "../logger.ts";
import type { Placement, PlacementEvents, ShardOwner } from "./port.ts";
import { changedShards, type ShardTable } from "./table.ts";

export interface DirectoryOptions {
  readonly nodeId: string;
  readonly shardCount: number;
  readonly log: Logger;
  /** False while the lease of this node is over. */
  readonly mayTake: () => boolean;
  /** Something has to be told to the coordinator: reminders() says what. */
  readonly onNews: () => void;
}

/** What the node does with a shard that the table gives it. */
type Holding =
  | { readonly phase: "waiting"; readonly tenure: Tenure } // for the lease
  | { readonly phase: "held"; readonly tenure: Tenure }
  | { readonly phase: "leaving"; readonly tenure: Tenure }
  | { readonly phase: "released"; readonly tenure: Tenure };

export interface Reminders {
  readonly released: readonly Tenure[];
  readonly lost: readonly { readonly tenure: Tenure; readonly highestEpoch: number }[];
}

export class Directory implements Placement {
  readonly #options: DirectoryOptions;
  /** The highest epoch seen, a shard each. */
  readonly #seen: number[];
  readonly #holdings = new Map<number, Holding>();
  readonly #lost = new Map<number, { readonly tenure: Tenure; readonly highestEpoch: number }>();
  /** What the coordinator has not been told yet. */
  #serving: Tenure[] = [];
  #events: PlacementEvents | undefined;
  #table: ShardTable | undefined;

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.#seen = new Array<number>(options.shardCount).fill(0);
  }

  get table(): ShardTable | undefined {
    return this.#table;
  }

  get seen(): readonly number[] {
    return this.#seen;
  }

  /** Shards that are this node's by the table, whether it acts for them already or not. */
  get owned(): number {
    return this.#table?.owners.filter(({ nodeId }) => nodeId === this.#options.nodeId).length ?? 0;
  }

  open(events: PlacementEvents): void {
    this.#events = events;
  }

  ownerOf(shard: number): ShardOwner | undefined {
    const owner = this.#table?.owners[shard];
    return owner === undefined || owner.nodeId === "" ? undefined : owner;
  }

  // ---- the table

  /** False if it is not newer than what is known (D1). */
  adopt(next: ShardTable): boolean {
    const before = this.#table;
    if (before !== undefined && next.version <= before.version) return false;
    assert(this.#events !== undefined, "a node opens its placement before the placement starts");
    this.#table = next;
    const changed = changedShards(before, next);
    for (const shard of changed) this.#changed(shard, next.owners[shard] as ShardOwner);
    if (changed.length > 0) this.#events.onOwnersChanged(changed);
    return true;
  }

  #changed(shard: number, { nodeId, epoch }: ShardOwner): void {
    const holding = this.#holdings.get(shard);
    const highest = this.#seen[shard] as number;
    this.#seen[shard] = Math.max(highest, epoch);
    const lost = this.#lost.get(shard);
    if (lost !== undefined && epoch > lost.tenure.epoch && epoch >= lost.highestEpoch) this.#lost.delete(shard);
    if (holding !== undefined) {
      if (nodeId === this.#options.nodeId && holding.tenure.epoch === epoch) return; // it was asked for again before it was known here
      this.#holdings.delete(shard);
      if (holding.phase !== "waiting") this.#events?.onRevoked(holding.tenure);
    }
    if (nodeId !== this.#options.nodeId) return;
    const tenure: Tenure = { shard, epoch };
    if (epoch <= highest) {
      this.#options.log.warn({ shard, epoch, highest }, "the table gives this node an epoch of the past");
      this.reportLost(tenure, highest);
    } else {
      this.#holdings.set(shard, { phase: "waiting", tenure });
      if (this.#options.mayTake()) this.#take(tenure);
    }
  }

  #take(tenure: Tenure): void {
    this.#holdings.set(tenure.shard, { phase: "held", tenure });
    this.#events?.onAssigned(tenure).then(
      () => {
        this.#serving.push(tenure);
        this.#options.onNews();
      },
      () => undefined, // lost or revoked meanwhile, which is told by itself
    );
  }

  /** The lease holds again. */
  leaseRenewed(): void {
    for (const { phase, tenure } of [...this.#holdings.values()]) if (phase === "waiting") this.#take(tenure);
  }

  // ---- letting go

  /** Planned. Asked again, it answers again. */
  handOff({ shards, epochs }: Tenures): void {
    let answered = false;
    shards.forEach((shard, at) => {
      const epoch = epochs[at] as number;
      const holding = this.#holdings.get(shard);
      if (shard >= this.#options.shardCount || epoch < (this.#seen[shard] as number)) return;
      if (holding?.tenure.epoch === epoch && holding.phase !== "waiting") {
        if (holding.phase === "held") void this.#release(holding.tenure);
        answered ||= holding.phase === "released";
        return;
      }
      // A tenure that is not known here yet will not begin, and an earlier one is over: so it has been released.
      this.#seen[shard] = epoch;
      if (holding !== undefined && holding.phase !== "waiting") this.#events?.onRevoked(holding.tenure);
      this.#holdings.set(shard, { phase: "released", tenure: { shard, epoch } });
      answered = true;
    });
    if (answered) this.#options.onNews();
  }

  async #release(tenure: Tenure): Promise<void> {
    this.#holdings.set(tenure.shard, { phase: "leaving", tenure });
    try {
      await this.#events?.onHandoff(tenure);
    } catch (error) {
      this.#options.log.error({ ...tenure, error }, "a shard could not be handed off in order");
    }
    if (this.#holdings.get(tenure.shard)?.tenure !== tenure) return; // it has gone without waiting
    this.#holdings.set(tenure.shard, { phase: "released", tenure });
    this.#options.onNews();
  }

  reportLost(tenure: Tenure, highestEpoch: number): void {
    const known = this.#table?.owners[tenure.shard]?.epoch ?? 0;
    if (known > tenure.epoch && known >= highestEpoch) return; // the table is beyond it
    this.#seen[tenure.shard] = Math.max(this.#seen[tenure.shard] ?? 0, highestEpoch);
    const holding = this.#holdings.get(tenure.shard);
    if (holding?.tenure.epoch === tenure.epoch) this.#holdings.delete(tenure.shard);
    this.#lost.set(tenure.shard, { tenure, highestEpoch });
    this.#options.onNews();
  }

  // ---- what the coordinator is told

  /** (D3) */
  reminders(): Reminders {
    const released = [...this.#holdings.values()].filter(({ phase }) => phase === "released");
    return { released: released.map(({ tenure }) => tenure), lost: [...this.#lost.values()] };
  }

  /** Served since this was asked. */
  takeServing(): Tenure[] {
    const serving = this.#serving;
    this.#serving = [];
    return serving;
  }

  /** Under which this node acts. */
  held(): Tenure[] {
    return [...this.#holdings.values()].filter(({ phase }) => phase !== "released").map(({ tenure }) => tenure);
  }
}

export function tenuresOf(tenures: readonly Tenure[]): Tenures {
  return { shards: tenures.map(({ shard }) => shard), epochs: tenures.map(({ epoch }) => epoch) };
}
