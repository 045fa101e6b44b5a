import { expect, it } from "vitest";
import { createVirtualClock } from "../../runtime/index.ts";
import { type Covered, Verifier } from "./verifier.ts";

const LATE_MS = 10;
const EVERY_FULL_MS = 20;

function make(atOnce = 1) {
  const clock = createVirtualClock();
  const ends: (() => void)[] = [];
  const read = () => new Promise<boolean>((resolve) => void ends.push(() => resolve(true)));
  const store = { isFull: false };
  const isFull = () => store.isFull;
  const limits = { atOnce, lateMs: LATE_MS, everyFullMs: EVERY_FULL_MS };
  const verifier = new Verifier({ read, clock, isFull, ...limits, leaveOut: undefined });
  const told: string[] = [];
  /** As a log that has completed so much. */
  const log = (name: string) => {
    const state = { completed: 0 };
    const covered: Covered = {
      shard: 1,
      asked: false,
      reading: () => state.completed,
      covered: (through) => void told.push(`${name} ${through}`),
    };
    return {
      complete(through: number) {
        state.completed = through;
        verifier.cover(covered);
      },
    };
  };
  const end = async (read: number) => {
    ends[read]?.();
    await clock.settle();
  };
  return { clock, store, verifier, told, log, end };
}

it("(V1) one read covers all that was complete when it started, each log once", async () => {
  const { clock, verifier, told, log, end } = make();
  const [a, b] = [log("a"), log("b")];
  a.complete(1);
  b.complete(7);
  a.complete(2);
  await clock.settle();
  await end(0);
  expect([verifier.reads, told]).toEqual([1, ["a 2", "b 7"]]);
});

it("a read starts when what completed together is known, and waits for nothing else of that turn", async () => {
  const { verifier, told, log, end } = make(2);
  const [a, b] = [log("a"), log("b")];
  a.complete(1);
  void Promise.resolve().then(() => b.complete(7));
  expect(verifier.reads).toBe(0);
  await new Promise<void>((resolve) => process.nextTick(resolve));
  expect(verifier.reads).toBe(1);
  await end(0);
  expect(told).toEqual(["a 1", "b 7"]);
});

it("(V2) what is complete while a read is in flight is covered by the next, back to back", async () => {
  const { clock, verifier, told, log, end } = make();
  const a = log("a");
  a.complete(1);
  await clock.settle();
  a.complete(2);
  await clock.advance(LATE_MS - 1);
  expect(verifier.reads).toBe(1);
  await end(0);
  expect([verifier.reads, told]).toEqual([2, ["a 1"]]);
  await end(1);
  expect(told).toEqual(["a 1", "a 2"]);
});

it("(V1) two reads are in flight where two may be, and what comes behind both is covered by the next", async () => {
  const { clock, verifier, told, log, end } = make(2);
  const a = log("a");
  for (const through of [1, 2, 3]) {
    a.complete(through);
    await clock.settle();
  }
  expect(verifier.reads).toBe(2);
  await end(1);
  expect([verifier.reads, told]).toEqual([3, ["a 2"]]);
  await end(2);
  await end(0);
  expect(told).toEqual(["a 2", "a 3", "a 1"]); // the log knows better by then
});

it("(V1) a read that is late is not waited for by what came after it, and covers no more than it may when it ends", async () => {
  const { clock, verifier, told, log, end } = make();
  const a = log("a");
  a.complete(1);
  await clock.settle();
  a.complete(2);
  await clock.advance(LATE_MS);
  expect(verifier.reads).toBe(2);
  await end(1);
  expect(told).toEqual(["a 2"]);
  a.complete(3);
  await clock.settle();
  await end(0);
  expect(told).toEqual(["a 2", "a 1"]); // the log knows better by now
  await end(2);
  expect(told.at(-1)).toBe("a 3");
});

it("(V1) few reads are in flight, however late they are, and none is started for nothing", async () => {
  const { clock, verifier, told, log, end } = make(2);
  const a = log("a");
  for (let through = 1; through <= 9; through++) {
    a.complete(through);
    await clock.advance(3 * LATE_MS);
  }
  expect(verifier.reads).toBe(4);
  for (let read = 0; read < 4; read++) await end(read);
  await clock.advance(1_000);
  expect(verifier.reads).toBe(5);
  await end(4);
  expect(told.at(-1)).toBe("a 9");
  await clock.advance(1_000);
  expect(verifier.reads).toBe(5);
});

it("(V1) while the store is full a read starts once in a while, with all that is complete by then", async () => {
  const { clock, store, verifier, told, log, end } = make(2);
  store.isFull = true;
  const [a, b] = [log("a"), log("b")];
  a.complete(1);
  await clock.settle();
  await end(0);
  a.complete(2);
  await clock.advance(EVERY_FULL_MS - 1);
  b.complete(7);
  expect([verifier.reads, told]).toEqual([1, ["a 1"]]);
  await clock.advance(1);
  await end(1);
  expect([verifier.reads, told]).toEqual([2, ["a 1", "a 2", "b 7"]]);
  await clock.advance(1_000);
  expect(verifier.reads).toBe(2);
});

it("(V1) a full store is not waited for by what came after a read, and its reads are few, too", async () => {
  const { clock, store, verifier, told, log, end } = make(2);
  store.isFull = true;
  const a = log("a");
  for (let through = 1; through <= 9; through++) {
    a.complete(through);
    await clock.advance(EVERY_FULL_MS);
  }
  expect(verifier.reads).toBe(4);
  await end(3);
  expect([verifier.reads, told]).toEqual([5, ["a 4"]]);
  await end(4);
  expect(told.at(-1)).toBe("a 9");
});

it("(V1) what came while the store was full is covered as soon as it is not, by whatever comes or ends next", async () => {
  const { clock, store, verifier, told, log, end } = make(2);
  const [a, b] = [log("a"), log("b")];
  store.isFull = true;
  a.complete(1);
  await clock.settle();
  a.complete(2);
  store.isFull = false;
  b.complete(7);
  await clock.settle();
  expect(verifier.reads).toBe(2);
  store.isFull = true;
  a.complete(3);
  await clock.settle();
  store.isFull = false;
  await end(1);
  await end(2);
  expect([verifier.reads, told]).toEqual([3, ["a 2", "b 7", "a 3"]]);
});
