import { describe, expect, it } from "vitest";
import { createVirtualClock, silentLogger } from "../../runtime/index.ts";
import { storageDefaults } from "../settings.ts";
import { GroupCommit } from "./commits.ts";
import type { Write } from "./port.ts";

function world(settings = {}) {
  const clock = createVirtualClock();
  const kept: string[] = [];
  const sent: string[][] = [];
  let outcome: "kept" | "fails" = "kept";
  const commits = new GroupCommit({
    clock,
    settings: { ...storageDefaults, retryPauseMs: 10, retryPauseMaxMs: 40, ...settings },
    log: silentLogger,
    async commit(writes) {
      sent.push(writes.map((write) => write.partition));
      if (outcome === "fails") throw new Error("no room");
    },
  });
  const add = (partition: string, bytes = 1) => {
    const value = new Uint8Array(bytes);
    const write: Write = {
      table: "log",
      partition,
      cluster: new Uint8Array(1),
      value,
      keeper: { kept: () => kept.push(partition) },
    };
    commits.add(write);
  };
  const disk = (next: typeof outcome) => {
    outcome = next;
  };
  return { clock, commits, kept, sent, add, disk };
}

describe("group commit", () => {
  it("sends together what came within a turn, and tells nothing inside of add", async () => {
    const { clock, kept, sent, add } = world();
    for (const name of ["a", "b", "c"]) add(name);
    expect([sent, kept]).toEqual([[], []]);
    await clock.settle();
    expect([sent, kept]).toEqual([[["a", "b", "c"]], ["a", "b", "c"]]);
  });

  it("sends a failed commit again as it was, in order, and tells nothing meanwhile", async () => {
    const { clock, kept, sent, add, disk } = world();
    disk("fails");
    add("a");
    await clock.settle();
    add("b");
    await clock.advance(35); // after 10 ms and 20 ms more
    expect([sent, kept]).toEqual([[["a"], ["a"], ["a"]], []]);
    disk("kept");
    await clock.advance(40);
    expect(sent.slice(3)).toEqual([["a"], ["b"]]);
    expect(kept).toEqual(["a", "b"]);
  });

  it("splits what is more than a commit may hold, and keeps the order", async () => {
    const { clock, kept, sent, add } = world({ commitWritesMax: 2 });
    for (const name of ["a", "b", "c", "d", "e"]) add(name);
    await clock.settle();
    expect(sent).toEqual([["a", "b"], ["c", "d"], ["e"]]);
    expect(kept).toEqual(["a", "b", "c", "d", "e"]);
  });

  it("refuses what would wait beyond its bytes, and takes it when there is room", async () => {
    const { clock, add, disk } = world({ heldBytesMax: 1_000 });
    disk("fails");
    add("a", 800);
    expect(() => add("b", 800)).toThrow(expect.objectContaining({ code: "OVERLOADED", executed: "no" }));
    disk("kept");
    await clock.advance(10);
    add("b", 800);
  });

  it("closes although the disk is full: the outcome stays unknown, and nothing more is taken", async () => {
    const { clock, commits, kept, add, disk } = world();
    disk("fails");
    add("a");
    await clock.settle();
    await commits.close();
    expect(kept).toEqual([]);
    expect(() => add("b")).toThrow(expect.objectContaining({ code: "STORE_CLOSED", executed: "no" }));
  });
});
