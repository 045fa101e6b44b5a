import { describe, expect, it } from "vitest";
import type { Tenure } from "../fence.ts";
import { silentLogger } from "../logger.ts";
import { Directory } from "./directory.ts";
import { makeTable, type ShardTable } from "./table.ts";

const table = (version: number, ...owners: [string, number][]): ShardTable =>
  makeTable(
    1,
    version,
    owners.map(([nodeId, epoch]) => ({ nodeId, epoch })),
  );

function make() {
  const told: string[] = [];
  const never = new Promise<void>(() => {});
  const state = {
    mayTake: true,
    news: 0,
    serves: (_tenure: Tenure): Promise<void> => never,
    handedOff: (_tenure: Tenure): Promise<void> => Promise.resolve(),
  };
  const directory = new Directory({
    nodeId: "me",
    shardCount: 2,
    log: silentLogger,
    mayTake: () => state.mayTake,
    onNews: () => void (state.news += 1),
  });
  directory.open({
    onAssigned(tenure) {
      told.push(`assigned ${tenure.shard}@${tenure.epoch}`);
      return state.serves(tenure);
    },
    onHandoff: (tenure) => state.handedOff(tenure),
    onRevoked: ({ shard, epoch }) => void told.push(`revoked ${shard}@${epoch}`),
    onOwnersChanged: (shards) => void told.push(`changed ${shards.join()}`),
  });
  return { directory, told, state };
}

describe("a node's copy of the table", () => {
  it("tells what it gains, what it loses, and what has changed anywhere", () => {
    const { directory, told } = make();
    directory.adopt(table(1, ["me", 1], ["other", 1]));
    directory.adopt(table(2, ["other", 2], ["me", 2]));
    directory.adopt(table(3, ["other", 2], ["me", 3]));
    expect(told).toEqual([
      "assigned 0@1",
      "changed 0,1",
      "revoked 0@1",
      "assigned 1@2",
      "changed 0,1",
      "revoked 1@2",
      "assigned 1@3",
      "changed 1",
    ]);
    expect(directory.ownerOf(0)).toEqual({ nodeId: "other", epoch: 2 });
  });

  it("(D1) never goes back", () => {
    const { directory, told } = make();
    directory.adopt(table(5, ["other", 1], ["other", 1]));
    expect(directory.adopt(table(5, ["me", 9], ["me", 9]))).toBe(false);
    expect(directory.adopt(table(4, ["me", 9], ["me", 9]))).toBe(false);
    expect(told).toEqual(["changed 0,1"]);
  });

  it("(D2) does not act under an epoch that it has seen before, and says so", () => {
    const { directory, told, state } = make();
    directory.adopt(table(1, ["other", 7], ["", 0]));
    directory.adopt(table(2, ["me", 7], ["", 0]));
    expect(told).not.toContain("assigned 0@7");
    expect(state.news).toBe(1);
    expect(directory.reminders().lost).toEqual([{ tenure: { shard: 0, epoch: 7 }, highestEpoch: 7 }]);
    directory.adopt(table(3, ["me", 8], ["", 0]));
    expect(told).toContain("assigned 0@8");
    expect(directory.reminders().lost).toEqual([]);
  });

  it("takes nothing while its lease is over, and everything afterwards that is still its own", () => {
    const { directory, told, state } = make();
    state.mayTake = false;
    directory.adopt(table(1, ["me", 1], ["me", 1]));
    directory.adopt(table(2, ["me", 1], ["other", 2]));
    expect(told).toEqual(["changed 0,1", "changed 1"]);
    directory.leaseRenewed();
    directory.leaseRenewed();
    expect(told.slice(2)).toEqual(["assigned 0@1"]);
  });

  it("tells once that it serves a shard, and not of one that was lost before", async () => {
    const { directory, state } = make();
    state.serves = ({ shard }) => (shard === 0 ? Promise.resolve() : Promise.reject(new Error("lost")));
    directory.adopt(table(1, ["me", 1], ["me", 1]));
    await new Promise(setImmediate);
    expect(state.news).toBe(1);
    expect(directory.takeServing()).toEqual([{ shard: 0, epoch: 1 }]);
    expect(directory.takeServing()).toEqual([]);
  });

  it("(D3) hands off once, and answers as often as it is asked until the epoch has risen", async () => {
    const { directory, state } = make();
    let asked = 0;
    let finish: (() => void) | undefined;
    state.handedOff = () => {
      asked += 1;
      return new Promise((resolve) => {
        finish = resolve;
      });
    };
    directory.adopt(table(1, ["me", 1], ["me", 1]));
    directory.handOff({ shards: [0], epochs: [1] });
    directory.handOff({ shards: [0], epochs: [1] });
    expect([asked, state.news]).toEqual([1, 0]);
    finish?.();
    await Promise.resolve();
    await Promise.resolve();
    expect(state.news).toBe(1);
    expect(directory.reminders().released).toEqual([{ shard: 0, epoch: 1 }]);
    directory.handOff({ shards: [0], epochs: [1] });
    expect([asked, state.news]).toEqual([1, 2]);
    directory.adopt(table(2, ["other", 2], ["me", 1]));
    expect(directory.reminders().released).toEqual([]);
    directory.handOff({ shards: [0], epochs: [1] }); // late
    expect([asked, state.news]).toEqual([1, 2]);
  });

  it("(D3) that is asked to hand off what it does not know to be its own, never takes it", () => {
    const { directory, told } = make();
    directory.adopt(table(1, ["other", 1], ["", 0]));
    directory.handOff({ shards: [0], epochs: [2] });
    expect(directory.reminders().released).toEqual([{ shard: 0, epoch: 2 }]);
    directory.adopt(table(2, ["me", 2], ["", 0]));
    expect(told).not.toContain("assigned 0@2");
    directory.adopt(table(3, ["me", 3], ["", 0]));
    expect(told).toContain("assigned 0@3");
  });

  it("(D3) that is asked to hand off a later tenure than it knows of, lets go of the earlier one", () => {
    const { directory, told } = make();
    directory.adopt(table(1, ["me", 1], ["", 0]));
    directory.handOff({ shards: [0], epochs: [2] }); // the table that raised the epoch was missed
    expect(told).toEqual(["assigned 0@1", "changed 0,1", "revoked 0@1"]);
    expect(directory.reminders().released).toEqual([{ shard: 0, epoch: 2 }]);
    expect(directory.held()).toEqual([]);
  });

  it("reports a lost shard until the table is beyond what was seen, and not after", () => {
    const { directory } = make();
    directory.adopt(table(1, ["me", 1], ["", 0]));
    directory.reportLost({ shard: 0, epoch: 1 }, 4);
    directory.adopt(table(2, ["me", 3], ["", 0])); // not yet
    expect(directory.reminders().lost).toHaveLength(1);
    directory.adopt(table(3, ["me", 5], ["", 0]));
    expect(directory.reminders().lost).toEqual([]);
    directory.reportLost({ shard: 0, epoch: 1 }, 0); // revoked long ago
    expect(directory.reminders().lost).toEqual([]);
  });
});
