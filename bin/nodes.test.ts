import { expect, describe as facts, it } from "vitest";
import { type ClusterState, newMember } from "../runtime/index.ts";
import { describe as describeNodes } from "./nodes.ts";
import { describe as describeShards } from "./shards.ts";

const owners = [
  { nodeId: "a#1", epoch: 3 },
  { nodeId: "b#1", epoch: 1 },
  { nodeId: "a#1", epoch: 7 },
  { nodeId: "dead#1", epoch: 2 },
];
const state: ClusterState = {
  clusterId: "x",
  shardCount: 4,
  coordinator: { term: 5, nodeId: "b#1" },
  members: [
    { ...newMember("a#1", ["actors"]), version: "0.2.0" },
    { ...newMember("b#1", ["actors", "gateway"]), status: "draining", sessions: 7, sessionsMax: 100, region: "eu" },
  ],
  table: { term: 5, version: 42, owners, bytes: new Uint8Array(), digest: 0 },
};

facts("madang nodes", () => {
  it("tells who is there, who leads, and what belongs to nobody who is there", () => {
    expect(describeNodes(state).split("\n")).toEqual([
      "NODE   ROLES           STATUS    VERSION  REGION  SHARDS  SESSIONS",
      "a#1    actors          up        0.2.0    -       2       -",
      "b#1 *  actors,gateway  draining  -        eu      1       7/100",
      "* coordinator, term 5; table 42",
      "1 of 4 shards belong to no node that is listed",
      "",
    ]);
  });

  it("tells when nobody leads", () => {
    const told = describeNodes({ ...state, coordinator: { term: 5, nodeId: "gone#1" } });
    expect(told).toContain("no coordinator; the last was gone#1, term 5");
  });
});

facts("madang shards", () => {
  it("sums up by node", () => {
    expect(describeShards(state, "summary").split("\n")).toEqual([
      "NODE                 SHARDS  EPOCHS",
      "a#1                  2       3 to 7",
      "b#1                  1       1 to 1",
      "dead#1 (not listed)  1       2 to 2",
      "table 42 of term 5",
      "",
    ]);
  });

  it("tells one, or all", () => {
    expect(describeShards(state, 2)).toContain("2      a#1    7");
    expect(describeShards(state, "all").split("\n")).toHaveLength(6);
    expect(() => describeShards(state, 4)).toThrow("shards 0 to 3");
  });
});
