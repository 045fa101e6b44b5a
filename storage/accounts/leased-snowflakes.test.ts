import { expect, it } from "vitest";
import { createVirtualClock } from "../../runtime/index.ts";
import { accountErrors } from "./errors.ts";
import { createLeasedSnowflakes } from "./leased-snowflakes.ts";
import type { WorkerLeases } from "./workers.ts";

const START_MS = Date.UTC(2026, 0, 1);
const LEASE_MS = 60_000;
const workerOf = (id: number) => Math.floor(id / 64) % 1_024;
const tickOf = (id: number) => Math.floor(id / 65_536);

/** The table of leases in memory, for many owners; whoever holds it can take numbers away and make answers late. */
function createBook(size = 4) {
  const rows = Array.from({ length: size }, () => ({ owner: "", lastTick: 0, extended: 0 }));
  const book = { rows, answer: async () => {} };
  const leases = (owner: string): WorkerLeases => ({
    async lease() {
      const worker = rows.findIndex((row) => row.owner === "");
      const row = rows[worker];
      if (row === undefined) throw accountErrors.NO_FREE_WORKER();
      row.owner = owner;
      await book.answer();
      return { worker, lastTick: row.lastTick };
    },
    async extend(worker, lastTick) {
      const row = rows[worker];
      if (row?.owner !== owner) return false;
      row.lastTick = Math.max(row.lastTick, lastTick);
      row.extended += 1;
      await book.answer();
      return true;
    },
    async giveBack(worker) {
      const row = rows[worker];
      if (row?.owner === owner) row.owner = "";
    },
  });
  return { ...book, leases, set: (answer: () => Promise<void>) => void (book.answer = answer) };
}

it("one who asks for ids leases a number once, and extends it when half of the lease is over", async () => {
  const clock = createVirtualClock(START_MS + 1_600_000);
  const book = createBook();
  const ids = createLeasedSnowflakes({ clock, leases: book.leases("a"), leaseMs: LEASE_MS });
  const minted = await Promise.all(Array.from({ length: 10 }, () => ids.next()));
  expect(new Set(minted.map(workerOf))).toEqual(new Set([0]));
  const extended = book.rows[0]?.extended as number;
  await clock.advance(LEASE_MS / 2 - 10_000);
  for (let at = 0; at < 5; at++) await ids.next();
  await clock.advance(10_000);
  for (let at = 0; at < 5; at++) await ids.next();
  await clock.settle();
  expect(book.rows[0]?.extended).toBeGreaterThan(extended);
  await clock.advance(LEASE_MS / 2 + 1_000); // beyond the first lease, within the second
  expect(workerOf(await ids.next())).toBe(0);
});

it("nothing is told after the own lease has ended, although the answer that extends it is on its way", async () => {
  const clock = createVirtualClock(START_MS + 1_600_000);
  const book = createBook();
  const ids = createLeasedSnowflakes({ clock, leases: book.leases("a"), leaseMs: LEASE_MS });
  await ids.next();
  await clock.advance(LEASE_MS);
  let release = () => {};
  book.set(() => new Promise((resolve) => (release = resolve)));
  let told: number | undefined;
  const minting = ids.next().then((id) => (told = id));
  await clock.settle();
  expect(told).toBeUndefined();
  // The lease is counted from before it was asked for: this answer took longer than what it gives.
  await clock.advance(LEASE_MS);
  book.set(async () => {});
  release();
  await minting;
  expect(workerOf(told as number)).toBe(0);
});

it("an id whose minting took longer than the lease is thrown away, and another is minted under a new one", async () => {
  const clock = createVirtualClock(START_MS + 1_600_000);
  const book = createBook();
  const ids = createLeasedSnowflakes({ clock, leases: book.leases("a"), leaseMs: LEASE_MS });
  await ids.open();
  let release = () => {};
  book.set(() => new Promise((resolve) => (release = resolve)));
  const minting = ids.next(); // its tick is being kept
  await clock.settle();
  await clock.advance(LEASE_MS + 1);
  (book.rows[0] as { owner: string }).owner = "b"; // by the book's clock it was free
  book.set(async () => {});
  release();
  const id = await minting;
  expect(workerOf(id)).toBe(1);
});

it("a number that somebody else has now reserves no tick, and another is leased", async () => {
  const clock = createVirtualClock(START_MS + 1_600_000);
  const book = createBook();
  const ids = createLeasedSnowflakes({ clock, leases: book.leases("a"), leaseMs: LEASE_MS });
  await ids.open(); // nothing is reserved yet
  (book.rows[0] as { owner: string }).owner = "b"; // a clock of the database that jumped ahead
  expect(workerOf(await ids.next())).toBe(1);
  expect(book.rows[0]?.lastTick).toBe(0);
});

it("whoever gets a number after another mints above the last tick of it, whatever its wall clock says", async () => {
  const clock = createVirtualClock(START_MS + 1_600_000);
  const book = createBook(1);
  const first = createLeasedSnowflakes({ clock, leases: book.leases("a"), leaseMs: LEASE_MS });
  const last = await first.next();
  await first.close();
  clock.stepWall(-1_000_000);
  const second = createLeasedSnowflakes({ clock, leases: book.leases("b"), leaseMs: LEASE_MS });
  const id = await second.next();
  expect([workerOf(id), tickOf(id) > tickOf(last)]).toEqual([0, true]);
});

it("an error of the store is told, and the next who asks is served", async () => {
  const clock = createVirtualClock(START_MS + 1_600_000);
  const book = createBook();
  const ids = createLeasedSnowflakes({ clock, leases: book.leases("a"), leaseMs: LEASE_MS });
  book.set(() => Promise.reject(new Error("away")));
  await expect(ids.next()).rejects.toThrow("away");
  book.set(async () => {});
  expect(Number.isSafeInteger(await ids.next())).toBe(true);
  await clock.advance(LEASE_MS);
  book.set(() => Promise.reject(new Error("away")));
  await expect(ids.next()).rejects.toThrow("away");
  book.set(async () => {});
  expect(Number.isSafeInteger(await ids.next())).toBe(true);
});
