// Worker numbers and ids on a real database, with many who want them at once.

import { Kysely, PostgresDialect } from "kysely";
import { beforeEach, describe, expect, it } from "vitest";
import { createVirtualClock, pause, silentLogger, systemClock } from "../../runtime/index.ts";
import { applyAccountsSchema, openPostgresAccounts, postgresDefaults } from "./index.ts";
import { createLeasedSnowflakes } from "./leased-snowflakes.ts";
import { useDatabase } from "./postgres.test-rig.ts";
import { createPostgresPool } from "./postgres-pool.ts";
import type { Tables } from "./schema.ts";
import { createWorkerLeases } from "./workers.ts";

const database = useDatabase();
const { url } = database;
const log = silentLogger;
const workerOf = (id: number) => Math.floor(id / 64) % 1_024;
const tickOf = (id: number) => Math.floor(id / 65_536);
const leaveFree = (count: number) =>
  database.query("update workers set owner = 'others', leased_until_ms = $2 where worker >= $1", [
    count,
    Date.UTC(2100, 0, 1),
  ]);

const withDb = async (work: (db: Kysely<Tables>) => Promise<void>) => {
  const pool = createPostgresPool({ url, clock: systemClock, log, settings: postgresDefaults });
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  try {
    await work(db);
  } finally {
    await db.destroy();
  }
};

beforeEach(async () => {
  await database.clear();
  await applyAccountsSchema({ url, clock: systemClock, log });
});

describe("worker numbers", () => {
  it("of many who ask at once each gets its own; when all are leased the next is refused, until one is given back", async () => {
    await leaveFree(60);
    await withDb(async (db) => {
      const owners = Array.from({ length: 60 }, (_, at) => createWorkerLeases(db, `owner ${at}`, 60_000));
      const leased = await Promise.all(owners.map((leases) => leases.lease()));
      expect(new Set(leased.map(({ worker }) => worker)).size).toBe(60);
      const late = createWorkerLeases(db, "late", 60_000);
      await expect(late.lease()).rejects.toMatchObject({ code: "NO_FREE_WORKER", retryable: true });
      await expect(openPostgresAccounts({ url, clock: systemClock, log })).rejects.toMatchObject({
        code: "NO_FREE_WORKER",
      });
      const seventh = leased[7]?.worker as number;
      await owners[7]?.giveBack(seventh);
      expect((await late.lease()).worker).toBe(seventh);
      expect(await owners[7]?.extend(seventh, 1)).toBe(false);
    });
  });

  it("whose lease ended go to the next, with the last tick that was kept, and are lost to the one before", async () => {
    await leaveFree(1);
    await withDb(async (db) => {
      const first = createWorkerLeases(db, "first", 300);
      const second = createWorkerLeases(db, "second", 300);
      const { worker } = await first.lease();
      expect(await first.extend(worker, 1_000)).toBe(true);
      expect(await first.extend(worker, 900)).toBe(true); // it only rises
      await expect(second.lease()).rejects.toMatchObject({ code: "NO_FREE_WORKER" });
      await pause(systemClock, 400);
      expect(await second.lease()).toEqual({ worker, lastTick: 1_000 });
      expect(await first.extend(worker, 2_000)).toBe(false);
      await first.giveBack(worker);
      await expect(first.lease()).rejects.toMatchObject({ code: "NO_FREE_WORKER" });
    });
  });

  it("rest as long as others are free", async () => {
    await withDb(async (db) => {
      const leases = createWorkerLeases(db, "one", 60_000);
      const numbers: number[] = [];
      for (let at = 0; at < 5; at++) {
        const { worker } = await leases.lease();
        numbers.push(worker);
        await leases.giveBack(worker);
      }
      expect(new Set(numbers).size).toBe(5);
    });
  });
});

describe("ids", () => {
  it("of many stores at once are never the same, also when numbers go from hand to hand and clocks differ", async () => {
    await leaveFree(6);
    const ids: number[] = [];
    await withDb(async (db) => {
      const run = async (seed: number) => {
        const clock = createVirtualClock(systemClock.wallMs() + (seed % 3) * 10_000 - 10_000);
        for (let life = 0; life < 8; life++) {
          const leases = createWorkerLeases(db, `${seed} ${life}`, 60_000);
          const mint = createLeasedSnowflakes({ clock, leases, leaseMs: 60_000 });
          const minting = Promise.all(Array.from({ length: 40 }, () => mint.next()));
          ids.push(...(await minting));
          await mint.close();
        }
      };
      await Promise.all(Array.from({ length: 6 }, (_, seed) => run(seed)));
    });
    expect(ids).toHaveLength(6 * 8 * 40);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(ids.map(workerOf)).size).toBeLessThanOrEqual(6);
  });

  it("of a store that lost its number without knowing, and of the one that has it now, are never the same", async () => {
    await leaveFree(2);
    const clock = createVirtualClock(systemClock.wallMs());
    const paused = await openPostgresAccounts({ url, clock, log });
    const before = await paused.nextId();
    const mine = workerOf(before);
    // The database's clock jumped over the lease: it gives the number away while the first still counts on it.
    await database.query("update workers set leased_until_ms = 0 where worker = $1", [mine]);
    await database.query("update workers set leased_until_ms = $1 where worker <> $2", [Date.UTC(2100, 0, 1), mine]);
    const next = await openPostgresAccounts({ url, clock, log });
    const both = [await next.nextId(), await paused.nextId(), await next.nextId(), await paused.nextId()];
    expect(new Set([before, ...both].map(workerOf))).toEqual(new Set([mine]));
    expect(new Set([before, ...both]).size).toBe(5);
    expect(tickOf(both[0] as number)).toBeGreaterThan(tickOf(both[3] as number));
    // When its reserved ticks, or its lease, are used up, it finds that there is none for it.
    await clock.advance(postgresDefaults.workerLeaseMs);
    await expect(paused.nextId()).rejects.toMatchObject({ code: "NO_FREE_WORKER" });
    await paused.close();
    await next.close();
  });

  it("rise over a restart with a wall clock that was set back", async () => {
    await leaveFree(1);
    const clock = createVirtualClock(systemClock.wallMs());
    const first = await openPostgresAccounts({ url, clock, log });
    const last = await first.nextId();
    await first.close();
    clock.stepWall(-86_400_000);
    const second = await openPostgresAccounts({ url, clock, log });
    expect(await second.nextId()).toBeGreaterThan(last);
    await second.close();
  });
});
