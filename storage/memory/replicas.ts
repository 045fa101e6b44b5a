// A store of three replicas in memory, as bad as real ones: writes arrive late, twice, at some replicas only or never;
// reads ask any two; operations time out with an unknown outcome; a replica may be down. Time and chance are ports: one
// seed gives one run.

import { type Clock, type Random, randomBelow } from "../../runtime/index.ts";
import type { CellBatch, QuorumStore } from "../fence/port.ts";
import { Replica, readTogether } from "./replica.ts";

export interface Operation {
  /** Who asks. */
  readonly node: string;
  readonly kind: keyof QuorumStore;
  readonly batch?: CellBatch;
}

/** When the message arrives at a replica, in ms from now: empty never, two of them twice. */
export type Fate = readonly number[];

export interface Weather {
  /** From 1; 0 is this turn of the event loop. */
  readonly delayMsMax: number;
  /** Shares of the messages to one replica. */
  readonly lateShare: number;
  readonly lateMsMax: number;
  /** How often it says that more waits than may be on its way. */
  readonly fullShare: number;
  readonly lostShare: number;
  readonly doubledShare: number;
  /** After a read, rows that one of the two replicas lacked are written to it, each by itself. */
  readonly repairShare: number;
}

export const fairWeather: Weather = {
  delayMsMax: 0,
  lateShare: 0,
  lateMsMax: 0,
  fullShare: 0,
  lostShare: 0,
  doubledShare: 0,
  repairShare: 0,
};

export interface ReplicasOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly weather: Weather;
  readonly timeoutMs: number;
  /** For scripted schedules; undefined leaves it to the weather. */
  readonly fate?: (operation: Operation, replica: number) => Fate | undefined;
}

export interface Replicas {
  storeFor(node: string): QuorumStore;
  setWeather(weather: Weather): void;
  /** A replica that is down neither hears nor answers. */
  setDown(replica: number, down: boolean): void;
  /** For tests of the replicas: what one of them would show by itself. */
  readonly members: readonly Replica[];
}

const REPLICAS = 3;
const QUORUM = 2;

class TimedOut extends Error {
  override readonly name = "TimedOut";
}

export function createReplicas(options: ReplicasOptions): Replicas {
  const { clock, random, timeoutMs } = options;
  let { weather } = options;
  const members = Array.from({ length: REPLICAS }, () => new Replica());
  const down = new Set<number>();

  const chance = (share: number) => random.next() < share;
  const fateOf = (operation: Operation, replica: number): Fate => {
    const scripted = options.fate?.(operation, replica);
    if (scripted !== undefined) return scripted;
    if (chance(weather.lostShare)) return [];
    const delayMs = chance(weather.lateShare) ? 1 + randomBelow(random, weather.lateMsMax) : delay();
    return chance(weather.doubledShare) ? [delayMs, delayMs + randomBelow(random, weather.lateMsMax)] : [delayMs];
  };
  const delay = () => (weather.delayMsMax === 0 ? 0 : 1 + randomBelow(random, weather.delayMsMax));
  const later = (delayMs: number, task: () => void) => {
    if (delayMs === 0) clock.soon(task);
    else clock.after(delayMs, task);
  };

  /** `touch` runs at each replica that the message reaches; resolves when two have answered. */
  const ask = (operation: Operation, touch: (replica: Replica) => void): Promise<Replica[]> =>
    new Promise((resolve, reject) => {
      const answered = new Set<Replica>();
      const timer = clock.after(timeoutMs, () => reject(new TimedOut(`${operation.kind} of ${operation.node}`)));
      members.forEach((replica, index) => {
        for (const delayMs of fateOf(operation, index)) {
          later(delayMs, () => {
            if (down.has(index)) return;
            touch(replica);
            later(delay(), () => {
              answered.add(replica);
              if (answered.size < QUORUM) return;
              timer.cancel();
              resolve([...answered]);
            });
          });
        }
      });
    });

  const repair = (asked: readonly Replica[], channelId: string, bucket: number) => {
    if (!chance(weather.repairShare)) return;
    const partition = { channelId, bucket };
    for (const row of readTogether(asked, channelId, bucket)) {
      for (const replica of asked) {
        const has = replica.cells(channelId, bucket).rows.get(row.id)?.writetime === row.writetime;
        if (has || chance(0.5)) continue; // the coordinator may die in the middle of it
        const tombstones = asked.flatMap((other) => other.cells(channelId, bucket).tombstones);
        later(delay(), () => {
          for (const { above, timestamp } of tombstones) {
            if (above < row.id) replica.deleteCells(partition, { above: row.id - 1, through: row.id, timestamp });
          }
          replica.writeCell(partition, row);
        });
      }
    }
  };

  const storeFor = (node: string): QuorumStore => {
    const write = async (operation: Operation, touch: (replica: Replica) => void) => void (await ask(operation, touch));
    /** What was there when each of the two was asked, not when the answer arrived. */
    const read = async <T>(operation: Operation, look: (replica: Replica) => T): Promise<Map<Replica, T>> => {
      const seen = new Map<Replica, T>();
      const answered = await ask(operation, (replica) => void seen.set(replica, look(replica)));
      return new Map(answered.slice(0, QUORUM).map((replica) => [replica, seen.get(replica) as T]));
    };
    return {
      isFull: () => weather.fullShare > 0 && chance(weather.fullShare),
      insertClaim: (shard, claim) => write({ node, kind: "insertClaim" }, (to) => to.insertClaim(shard, claim)),
      async readClaims(shard) {
        const merged = new Replica();
        for (const claims of (await read({ node, kind: "readClaims" }, (from) => from.claims(shard))).values()) {
          for (const claim of claims) merged.insertClaim(shard, claim, claim.deleted);
        }
        return merged
          .claims(shard)
          .filter(({ deleted }) => !deleted)
          .map(({ epoch, owner }) => ({ epoch, owner }));
      },
      deleteClaims: (shard, claims) =>
        write({ node, kind: "deleteClaims" }, (to) => {
          for (const claim of claims) to.insertClaim(shard, claim, true);
        }),
      insertRevocation: (owner, shard, epoch) =>
        write({ node, kind: "insertRevocation" }, (to) => to.revoke(owner, shard, epoch)),
      async readRevocations(owner, shards) {
        const found = new Map<number, number>();
        const answers = await read({ node, kind: "readRevocations" }, (from) => new Map(from.revocations(owner)));
        for (const revocations of answers.values()) {
          for (const shard of shards) {
            const epoch = revocations.get(shard);
            if (epoch !== undefined) found.set(shard, Math.max(epoch, found.get(shard) ?? 0));
          }
        }
        return found;
      },
      writeCells: (batch) => write({ node, kind: "writeCells", batch }, (to) => to.writeCells(batch)),
      async readCells(channelId, bucket, from, to) {
        const copies = await read({ node, kind: "readCells" }, (replica) => copyOf(replica, channelId, bucket));
        repair([...copies.keys()], channelId, bucket);
        return readTogether([...copies.values()], channelId, bucket).filter(({ id }) => id >= from && id <= to);
      },
    };
  };

  return {
    storeFor,
    members,
    setWeather(next) {
      weather = next;
    },
    setDown(replica, isDown) {
      if (isDown) down.add(replica);
      else down.delete(replica);
    },
  };
}

/** The bucket as it is now. */
function copyOf(replica: Replica, channelId: string, bucket: number): Replica {
  const copy = new Replica();
  const { rows, tombstones } = replica.cells(channelId, bucket);
  for (const [id, cell] of rows) copy.writeCell({ channelId, bucket }, { id, ...cell });
  for (const tombstone of tombstones) copy.deleteCells({ channelId, bucket }, tombstone);
  return copy;
}
