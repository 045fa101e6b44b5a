import { describe, expect, it } from "vitest";
import { EPOCH_MAX, randomBelow, seededRandom } from "../../runtime/index.ts";
import type { WakeRow } from "../wake/port.ts";
import { deletionStamp, rowStamp, type WakeDeletion, WakeRows } from "./wake-rows.ts";

const row = (epoch: number, slot: number, actor = "channel/g1"): WakeRow => ({ epoch, slot, actor });
const SHARD = 3;

function known(...rows: readonly WakeRow[]): WakeRows {
  const wakeRows = new WakeRows();
  for (const one of rows) wakeRows.began(SHARD, one);
  return wakeRows;
}

describe("deletions of wake rows", () => {
  it("are single in the slot that is still filled", () => {
    expect(known(row(5, 0)).remove(SHARD, [row(5, 0)])).toEqual([{ kind: "row", row: row(5, 0) }]);
  });

  it("are one range when all slots up to one are empty", () => {
    const rows = known(row(5, 0, "a"), row(5, 0, "b"), row(5, 1, "a"), row(5, 2, "a"));
    expect(rows.remove(SHARD, [row(5, 0, "a"), row(5, 0, "b"), row(5, 1, "a")])).toEqual([
      { kind: "slots", epoch: 5, through: 1 },
    ]);
  });

  it("leave a slot that has an unfinished actor, and those above it go one by one", () => {
    const rows = known(row(5, 0, "a"), row(5, 0, "b"), row(5, 1, "a"), row(5, 2, "a"));
    expect(rows.remove(SHARD, [row(5, 0, "a"), row(5, 1, "a")])).toEqual([
      { kind: "slot", epoch: 5, slot: 1 },
      { kind: "row", row: row(5, 0, "a") },
    ]);
    expect(rows.remove(SHARD, [row(5, 0, "b")])).toEqual([{ kind: "slots", epoch: 5, through: 0 }]);
  });

  it("are one range for all older tenures when nothing of them is left", () => {
    const rows = known(row(9, 0));
    rows.listed(SHARD, [row(3, 7, "a"), row(5, 0, "b"), row(9, 0)]);
    expect(rows.remove(SHARD, [row(3, 7, "a")])).toEqual([{ kind: "epochs", through: 3 }]);
    expect(rows.remove(SHARD, [row(5, 0, "b")])).toEqual([{ kind: "epochs", through: 5 }]);
  });

  it("are single for older tenures before this node has a row of its own", () => {
    const rows = new WakeRows();
    rows.listed(SHARD, [row(3, 7)]);
    expect(rows.remove(SHARD, [row(3, 7)])).toEqual([{ kind: "row", row: row(3, 7) }]);
  });

  it("are above the rows that they delete, and below no later row's reach", () => {
    expect(deletionStamp({ kind: "row", row: row(5, 3) })).toBeGreaterThan(rowStamp(row(5, 3)));
    expect(deletionStamp({ kind: "slots", epoch: 5, through: 3 })).toBeLessThan(rowStamp(row(5, 4)));
    expect(deletionStamp({ kind: "epochs", through: 5 })).toBeGreaterThan(rowStamp(row(5, 8_000_000)));
    expect(deletionStamp({ kind: "epochs", through: EPOCH_MAX })).toBeLessThan(Number.MAX_SAFE_INTEGER);
  });

  it("never take a row that is wanted, and leave none that is not, whatever comes and goes", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      const wakeRows = new WakeRows();
      const wanted: WakeRow[] = [];
      const ring = new Ring();
      let epoch = 1;
      let slot = 0;
      for (let step = 0; step < 120; step++) {
        const dice = randomBelow(random, 20);
        if (dice === 0) {
          epoch += 1 + randomBelow(random, 3);
          slot = randomBelow(random, 2);
          wakeRows.listed(SHARD, ring.list());
        } else if (dice < 3) slot += 1;
        else if (dice < 12) {
          const fresh = row(epoch, slot, `a${randomBelow(random, 6)}`);
          wakeRows.began(SHARD, fresh);
          ring.insert(fresh);
          if (!wanted.some((other) => nameOf(other) === nameOf(fresh))) wanted.push(fresh);
        } else {
          // What the runtime deletes: rows of slots that have closed.
          const closed = wanted.filter((one) => one.epoch < epoch || one.slot < slot);
          const gone = closed.filter(() => randomBelow(random, 2) === 0);
          for (const one of gone) wanted.splice(wanted.indexOf(one), 1);
          for (const deletion of wakeRows.remove(SHARD, gone)) ring.delete(deletion);
        }
        const names = (rows: readonly WakeRow[]) => rows.map(nameOf).toSorted();
        expect(names(ring.list()), `seed ${seed}, step ${step}`).toEqual(names(wanted));
      }
    }
  });
});

const nameOf = ({ epoch, slot, actor }: WakeRow) => `${epoch}/${slot}/${actor}`;

/** What the ring makes of rows and deletions: the higher stamp stays, and a deletion wins a tie. */
class Ring {
  readonly #rows = new Map<string, WakeRow>();
  readonly #deletions: WakeDeletion[] = [];

  insert(one: WakeRow): void {
    this.#rows.set(nameOf(one), one);
  }

  delete(deletion: WakeDeletion): void {
    this.#deletions.push(deletion);
  }

  list(): WakeRow[] {
    return [...this.#rows.values()].filter(
      (one) => !this.#deletions.some((deletion) => covers(deletion, one) && deletionStamp(deletion) >= rowStamp(one)),
    );
  }
}

function covers(deletion: WakeDeletion, { epoch, slot, actor }: WakeRow): boolean {
  switch (deletion.kind) {
    case "row":
      return nameOf(deletion.row) === nameOf({ epoch, slot, actor });
    case "slot":
      return deletion.epoch === epoch && deletion.slot === slot;
    case "slots":
      return deletion.epoch === epoch && slot <= deletion.through;
    case "epochs":
      return epoch <= deletion.through;
  }
}
