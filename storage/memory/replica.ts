// One replica of a store with last-write-wins cells: what it holds, and how two of them are read together.

import type { CellBatch, CellRow, ClaimRow } from "../fence/port.ts";

interface Cell {
  readonly cell: Uint8Array;
  readonly writetime: number;
}

/** Deletes ids above `above` and up to `through`, written at `timestamp` or before. */
interface Tombstone {
  readonly above: number;
  readonly through: number;
  readonly timestamp: number;
}

export class Replica {
  /** By shard, then by epoch and owner; true when deleted, which nothing undoes. */
  readonly #claims = new Map<number, Map<string, ClaimRow & { deleted: boolean }>>();
  /** By owner, then shard: the highest epoch is the one with the highest timestamp. */
  readonly #revocations = new Map<string, Map<number, number>>();
  readonly #cells = new Map<string, { readonly rows: Map<number, Cell>; readonly tombstones: Tombstone[] }>();

  insertClaim(shard: number, claim: ClaimRow, deleted = false): void {
    const claims = this.#claims.get(shard) ?? new Map();
    this.#claims.set(shard, claims);
    const name = `${claim.epoch} ${claim.owner}`;
    claims.set(name, { ...claim, deleted: deleted || claims.get(name)?.deleted === true });
  }

  revoke(owner: string, shard: number, epoch: number): void {
    const epochs = this.#revocations.get(owner) ?? new Map();
    this.#revocations.set(owner, epochs);
    epochs.set(shard, Math.max(epoch, epochs.get(shard) ?? 0));
  }

  writeCells(batch: CellBatch): void {
    if (batch.tombstone !== undefined) this.deleteCells(batch, { ...batch.tombstone, through: Infinity });
    for (const { id, cell } of batch.rows) this.writeCell(batch, { id, cell, writetime: batch.timestamp });
  }

  deleteCells(partition: Pick<CellBatch, "channelId" | "bucket">, tombstone: Tombstone): void {
    this.#partition(partition).tombstones.push(tombstone);
  }

  writeCell(partition: Pick<CellBatch, "channelId" | "bucket">, { id, cell, writetime }: CellRow): void {
    const { rows } = this.#partition(partition);
    const there = rows.get(id);
    const wins =
      there === undefined ||
      writetime > there.writetime ||
      (writetime === there.writetime && Buffer.compare(cell, there.cell) > 0);
    if (wins) rows.set(id, { cell, writetime });
  }

  #partition({ channelId, bucket }: Pick<CellBatch, "channelId" | "bucket">) {
    const name = `${channelId}/${bucket}`;
    const found = this.#cells.get(name) ?? { rows: new Map<number, Cell>(), tombstones: [] };
    this.#cells.set(name, found);
    return found;
  }

  claims(shard: number): (ClaimRow & { deleted: boolean })[] {
    return [...(this.#claims.get(shard)?.values() ?? [])];
  }

  revocations(owner: string): ReadonlyMap<number, number> {
    return this.#revocations.get(owner) ?? new Map();
  }

  cells(channelId: string, bucket: number) {
    return this.#partition({ channelId, bucket });
  }
}

/** What a reader of these replicas is shown of one bucket. At equal timestamps the tombstone wins. */
export function readTogether(replicas: readonly Replica[], channelId: string, bucket: number): CellRow[] {
  const merged = new Replica();
  const partition = { channelId, bucket };
  for (const replica of replicas) {
    const { rows, tombstones } = replica.cells(channelId, bucket);
    for (const tombstone of tombstones) merged.deleteCells(partition, tombstone);
    for (const [id, cell] of rows) merged.writeCell(partition, { id, ...cell });
  }
  const { rows, tombstones } = merged.cells(channelId, bucket);
  const dead = (id: number, writetime: number) =>
    tombstones.some(({ above, through, timestamp }) => id > above && id <= through && writetime <= timestamp);
  return [...rows]
    .filter(([id, { writetime }]) => !dead(id, writetime))
    .sort(([a], [b]) => a - b)
    .map(([id, cell]) => ({ id, ...cell }));
}
