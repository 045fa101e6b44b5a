import { expect, describe as facts, it } from "vitest";
import { describe } from "./why.ts";

const kept = { author: 1, producer: 9, number: 3, timeMs: 0, bytes: 64 };
const device = { deviceId: 20, attached: true, pushed: true, deliveredId: 0 };
const member = {
  userId: 2,
  name: "bob",
  confirmed: true,
  pointerId: 7,
  pointerVersion: 40,
  pointerDurable: true,
  readId: 0,
  devices: [device],
};

facts("the way of a message is told", () => {
  it("from the disk to each device of each member", () => {
    const told = describe("d1.2", 7, { kept, settledId: 9, fannedOutId: 7, members: [member] });
    expect(told).toContain("number 3 of producer 9");
    expect(told).toContain("every pointer is durable");
    expect(told).toContain("bob: pointer at #7, version 40, durable, confirmed; not read");
    expect(told).toContain("device 20 (connected): handed to its socket");
  });

  it("when it is only half done", () => {
    const half = {
      ...member,
      pointerId: 6,
      confirmed: false,
      devices: [{ ...device, pushed: false, attached: false }],
    };
    const told = describe("d1.2", 7, { kept, settledId: 9, fannedOutId: 6, members: [half] });
    expect(told).toContain("not yet to all (done up to #6)");
    expect(told).toContain("bob: pointer not written yet");
    expect(told).toContain("device 20 (away): not reached");
  });

  it("when there is none", () => {
    expect(describe("d1.2", 8, { kept: null, settledId: 7, fannedOutId: 7, members: [] })).toContain("no message 8");
  });
});
