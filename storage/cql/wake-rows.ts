// The wake rows that a node knows of, and how to delete them with few tombstones. Pure: it decides, wake.ts writes.
//
// A list whose rows come and go is what such stores do worst: every deletion leaves a tombstone, which each reader steps
// over for as long as it lies there, and above 100,000 of them the read is refused. So what is deleted is a range wherever
// that can be: all slots of a tenure up to one, or all tenures up to one. A later range covers the earlier ones, with a
// higher stamp, and compaction then drops those at once: a shard is left with about two of them, however old it is.
//
// (T1) A range holds no row that is still wanted, and no row that may yet come: its slots are below one that was begun, and
//      its epochs below that of this node.
// (T2) Stamps rise with the slot, and every deletion is above the rows that it deletes.

import { stamp } from "../../runtime/index.ts";
import type { WakeRow } from "../wake/port.ts";

export type WakeDeletion =
  | { readonly kind: "row"; readonly row: WakeRow }
  /** One slot of a tenure. */
  | { readonly kind: "slot"; readonly epoch: number; readonly slot: number }
  /** All slots of a tenure up to this one. */
  | { readonly kind: "slots"; readonly epoch: number; readonly through: number }
  /** All tenures up to this one. */
  | { readonly kind: "epochs"; readonly through: number };

/** By slot, the actors with a row. */
type Tenure = Map<number, Set<string>>;

interface Shard {
  readonly tenures: Map<number, Tenure>;
  /** Of this node; undefined before its first row. */
  own: { readonly epoch: number; latestSlot: number } | undefined;
}

/** Slots may be short where somebody sets them so; then stamps of a tenure reach into the next, which no row minds. */
const SLOT_STAMPS = 2;

export function rowStamp({ epoch, slot }: Pick<WakeRow, "epoch" | "slot">): number {
  return stamp(epoch, slot * SLOT_STAMPS + 1);
}

export function deletionStamp(deletion: WakeDeletion): number {
  switch (deletion.kind) {
    case "row":
      return rowStamp(deletion.row) + 1;
    case "slot":
      return rowStamp(deletion) + 1;
    case "slots":
      return rowStamp({ epoch: deletion.epoch, slot: deletion.through }) + 1;
    case "epochs":
      return stamp(deletion.through + 1, 0);
  }
}

export class WakeRows {
  readonly #shards = new Map<number, Shard>();

  /** Before the row is written. */
  began(shardId: number, row: WakeRow): void {
    const shard = this.#shard(shardId);
    add(shard, row);
    const { own } = shard;
    if (own === undefined || row.epoch > own.epoch) shard.own = { epoch: row.epoch, latestSlot: row.slot };
    else if (row.epoch === own.epoch) own.latestSlot = Math.max(own.latestSlot, row.slot);
  }

  /** The row could not be written; whoever asked for it has been told. It may be there all the same. */
  failed(shardId: number, row: WakeRow): void {
    take(this.#shard(shardId), row);
  }

  listed(shardId: number, rows: readonly WakeRow[]): void {
    const shard = this.#shard(shardId);
    for (const row of rows) add(shard, row);
  }

  /** What to delete so that these rows are gone. */
  remove(shardId: number, rows: readonly WakeRow[]): WakeDeletion[] {
    const shard = this.#shard(shardId);
    const touched = new Map<number, WakeRow[]>();
    for (const row of rows) {
      take(shard, row);
      const ofEpoch = touched.get(row.epoch) ?? [];
      touched.set(row.epoch, ofEpoch);
      ofEpoch.push(row);
    }
    const deletions: WakeDeletion[] = [];
    const older = [...touched.keys()].filter((epoch) => shard.own !== undefined && epoch < shard.own.epoch);
    const oldest = Math.max(...older);
    const settled = older.length > 0 && ![...shard.tenures.keys()].some((epoch) => epoch <= oldest);
    if (settled) deletions.push({ kind: "epochs", through: oldest });
    for (const [epoch, ofEpoch] of touched) {
      if (settled && epoch <= oldest) continue;
      deletions.push(...deletionsOf(shard, epoch, ofEpoch));
    }
    return deletions;
  }

  #shard(shardId: number): Shard {
    let shard = this.#shards.get(shardId);
    if (shard === undefined) {
      shard = { tenures: new Map(), own: undefined };
      this.#shards.set(shardId, shard);
    }
    return shard;
  }
}

function deletionsOf(shard: Shard, epoch: number, rows: readonly WakeRow[]): WakeDeletion[] {
  const left = shard.tenures.get(epoch);
  const begun = shard.own?.epoch === epoch ? shard.own.latestSlot : 0;
  const whole = new Set<number>();
  const single: WakeDeletion[] = [];
  for (const row of rows) {
    if (row.slot < begun && left?.has(row.slot) !== true) whole.add(row.slot);
    else single.push({ kind: "row", row });
  }
  if (whole.size === 0) return single;
  const firstLeft = Math.min(begun, ...(left?.keys() ?? []));
  const through = Math.max(-1, ...[...whole].filter((slot) => slot < firstLeft));
  const ranges: WakeDeletion[] = through < 0 ? [] : [{ kind: "slots", epoch, through }];
  for (const slot of whole) if (slot > through) ranges.push({ kind: "slot", epoch, slot });
  return [...ranges, ...single];
}

function add(shard: Shard, { epoch, slot, actor }: WakeRow): void {
  let tenure = shard.tenures.get(epoch);
  if (tenure === undefined) {
    tenure = new Map();
    shard.tenures.set(epoch, tenure);
  }
  const actors = tenure.get(slot);
  if (actors === undefined) tenure.set(slot, new Set([actor]));
  else actors.add(actor);
}

function take(shard: Shard, { epoch, slot, actor }: WakeRow): void {
  const tenure = shard.tenures.get(epoch);
  const actors = tenure?.get(slot);
  if (tenure === undefined || actors === undefined) return;
  actors.delete(actor);
  if (actors.size > 0) return;
  tenure.delete(slot);
  if (tenure.size === 0) shard.tenures.delete(epoch);
}
