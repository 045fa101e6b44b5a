import { describe, expect, it } from "vitest";
import { Admission } from "./admission.ts";

const limits = { requestsInFlightMax: 2, requestsWaitingMax: 3, requestsWaitingBytesMax: 100, retryPauseMaxMs: 7 };

/** Requests that end when the test says so. */
function desk(admission: Admission) {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const request = (name: string) => () =>
    new Promise<string>((resolve) => {
      started.push(name);
      ends.set(name, () => resolve(name));
    });
  const ask = (name: string, bytes = 1) => admission.run(bytes, request(name));
  const end = async (name: string) => {
    ends.get(name)?.();
    await Promise.resolve().then(() => {});
  };
  return { started, ask, end, request };
}

describe("admission to the ring", () => {
  it("lets so many go, and the others in their order", async () => {
    const admission = new Admission(limits);
    const { started, ask, end } = desk(admission);
    const asked = ["a", "b", "c", "d"].map((name) => ask(name));
    expect([started, admission.inFlight, admission.waiting]).toEqual([["a", "b"], 2, 2]);
    await end("b");
    expect(started).toEqual(["a", "b", "c"]);
    await end("a");
    await end("c");
    await end("d");
    expect(await Promise.all(asked)).toEqual(["a", "b", "c", "d"]);
    expect([admission.inFlight, admission.waiting, admission.waitingBytes]).toEqual([0, 0, 0]);
  });

  it("refuses when too many wait, and says when to come back", async () => {
    const admission = new Admission(limits);
    const { started, ask } = desk(admission);
    for (const name of ["a", "b", "c", "d", "e"]) void ask(name);
    await expect(ask("f")).rejects.toMatchObject({ code: "OVERLOADED", executed: "no", retryAfterMs: 7 });
    expect([started.length, admission.waiting, admission.refused]).toEqual([2, 3, 1]);
  });

  it("refuses when too many bytes wait", async () => {
    const admission = new Admission(limits);
    const { ask, end } = desk(admission);
    for (const name of ["a", "b"]) void ask(name, 1_000_000); // what has left is not counted
    void ask("c", 60);
    await expect(ask("d", 60)).rejects.toMatchObject({ code: "OVERLOADED" });
    await end("a");
    void ask("d", 60);
    expect(admission.waitingBytes).toBe(60);
  });

  it("lets what is urgent pass", async () => {
    const admission = new Admission(limits);
    const { started, ask, request } = desk(admission);
    for (const name of ["a", "b", "c", "d", "e"]) void ask(name);
    void admission.urgent(request("verify"));
    expect(started).toEqual(["a", "b", "verify"]);
  });

  it("goes on after a request that failed", async () => {
    const admission = new Admission({ ...limits, requestsInFlightMax: 1 });
    const failing = admission.run(0, () => Promise.reject(new Error("no quorum")));
    const next = admission.run(0, async () => "answer");
    await expect(failing).rejects.toThrow("no quorum");
    expect(await next).toBe("answer");
  });

  it("keeps the order over many that come and go", async () => {
    const admission = new Admission({ ...limits, requestsWaitingMax: 10_000, requestsWaitingBytesMax: 1e6 });
    const order: number[] = [];
    const asked = Array.from({ length: 5_000 }, (_, i) => admission.run(1, async () => void order.push(i)));
    await Promise.all(asked);
    expect(order).toEqual(Array.from({ length: 5_000 }, (_, i) => i));
    expect([admission.inFlight, admission.waiting, admission.waitingBytes]).toEqual([0, 0, 0]);
  });

  it("closed, refuses what waits and what comes", async () => {
    const admission = new Admission(limits);
    const { ask } = desk(admission);
    for (const name of ["a", "b"]) void ask(name);
    const waiting = ask("c");
    admission.close();
    await expect(waiting).rejects.toMatchObject({ code: "STORE_CLOSED", executed: "no" });
    await expect(ask("d")).rejects.toMatchObject({ code: "STORE_CLOSED" });
    await expect(admission.urgent(async () => "verify")).rejects.toMatchObject({ code: "STORE_CLOSED" });
  });
});
