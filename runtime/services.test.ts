import { describe, expect, it } from "vitest";
import { subjectsOf } from "./nats/subjects.ts";
import { isServiceId, mayCall, parseServiceId } from "./services.ts";

describe("the id of a service", () => {
  it("is its name and one life of it", () => {
    expect(parseServiceId("svc-bot#a1")).toEqual({ name: "bot", incarnation: "a1" });
    expect(isServiceId("svc-bot#a1", "bot")).toBe(true);
  });

  it.each([
    ["a node's", "a#1"],
    ["another name's", "svc-bott#1"],
    ["one with two names", "svc-bot#other#1"],
    ["one that would be two tokens of a subject", "svc-bot#1.nack"],
    ["one that would be every token of a subject", "svc-bot#*"],
    ["one that would end the line of the protocol", "svc-bot#1 5\r\nPUB x"],
    ["one without an incarnation", "svc-bot#"],
    ["one that never ends", `svc-bot#${"1".repeat(51)}`],
  ])("is not %s", (_what, id) => {
    expect(isServiceId(id, "bot")).toBe(false);
  });
});

describe("the subjects of a service", () => {
  it("are all below one that permissions can name, for a wildcard stands for a whole token", () => {
    const subjects = subjectsOf("yard");
    expect(subjects.inbound("svc-bot#a1")).toBe("madang.yard.service.bot.a1.>");
    expect(subjects.lane("svc-bot#a1", 3)).toBe("madang.yard.service.bot.a1.3");
    expect(subjects.lane("a#1", 3)).toBe("madang.yard.node.a#1.3");
  });
});

describe("what a service may call", () => {
  it("is named method by method, or all of an actor's", () => {
    const allowed = ["bot:Channel.announce", "bot:Presence.*"];
    expect(mayCall(allowed, "bot", "Channel", "announce")).toBe(true);
    expect(mayCall(allowed, "bot", "Presence", "ask")).toBe(true);
    expect(mayCall(allowed, "bot", "Channel", "post")).toBe(false);
    expect(mayCall(allowed, "other", "Channel", "announce")).toBe(false);
  });
});
