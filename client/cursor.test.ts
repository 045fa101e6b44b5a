import { describe, expect, it } from "vitest";
import { Cursor } from "./cursor.ts";

const CHAIN_MAX = 3;

describe("the cursor", () => {
  it("moves by a delivery only when `prev` is where it stands (R1)", () => {
    const cursor = new Cursor(5, CHAIN_MAX);
    expect(cursor.deliver({ prev: 5, version: 6 })).toBe(false);
    expect(cursor.value).toBe(6);
    expect(cursor.deliver({ prev: 7, version: 8 })).toBe(true);
    expect(cursor.value).toBe(6);
  });

  it("a delivery that is told again changes nothing", () => {
    const cursor = new Cursor(6, CHAIN_MAX);
    expect(cursor.deliver({ prev: 5, version: 6 })).toBe(false);
    expect(cursor.value).toBe(6);
  });

  it("stands still while a sync runs, and follows the chain afterwards (R2)", () => {
    const cursor = new Cursor(5, CHAIN_MAX);
    cursor.startSync();
    cursor.deliver({ prev: 7, version: 8 });
    cursor.deliver({ prev: 8, version: 9 });
    expect(cursor.value).toBe(5);
    expect(cursor.caughtUp(8)).toBe(false); // 8 is in the chain: at or past it
    expect(cursor.value).toBe(9);
  });

  it("a chain that does not join on asks for another sync", () => {
    const cursor = new Cursor(5, CHAIN_MAX);
    cursor.startSync();
    cursor.deliver({ prev: 9, version: 10 });
    expect(cursor.caughtUp(7)).toBe(true);
    expect(cursor.value).toBe(7);
  });

  it("a chain beyond its bound asks for another sync", () => {
    const cursor = new Cursor(0, CHAIN_MAX);
    cursor.startSync();
    for (let version = 1; version <= CHAIN_MAX + 1; version++) cursor.deliver({ prev: version - 1, version });
    expect(cursor.caughtUp(0)).toBe(true);
    expect(cursor.value).toBe(CHAIN_MAX);
  });

  it("pushes that were dropped during a sync ask for another one after it", () => {
    const cursor = new Cursor(0, CHAIN_MAX);
    cursor.startSync();
    expect(cursor.needSync()).toBe(false);
    expect(cursor.caughtUp(4)).toBe(true);
    expect(cursor.needSync()).toBe(true);
  });

  it("goes back only when the server does not know it", () => {
    const cursor = new Cursor(50, CHAIN_MAX);
    cursor.startSync();
    cursor.caughtUp(40);
    expect(cursor.value).toBe(50);
    cursor.dropAll();
    cursor.startSync();
    cursor.caughtUp(40);
    expect(cursor.value).toBe(40);
  });
});
