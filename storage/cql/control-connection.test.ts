import { Client } from "cassandra-driver";
import { describe, expect, it } from "vitest";
import { createVirtualClock, silentLogger } from "../../runtime/index.ts";
import { type ControlConnection, oneRefreshAtATime } from "./control-connection.ts";

function make(refresh: (count: number, hosts: unknown) => Promise<void>) {
  const state = { begun: 0, atOnce: 0, most: 0 };
  const control: ControlConnection = {
    _isShuttingDown: false,
    async _refresh(hosts) {
      state.begun += 1;
      state.atOnce += 1;
      state.most = Math.max(state.most, state.atOnce);
      try {
        await refresh(state.begun, hosts);
      } finally {
        state.atOnce -= 1;
      }
    },
  };
  const clock = createVirtualClock();
  oneRefreshAtATime(control, clock, silentLogger);
  return { control, state, clock };
}

describe("the driver's way to the ring's members", () => {
  it("is taken anew one at a time, and once more for all that ended meanwhile", async () => {
    const { control, state } = make(async () => {
      await Promise.resolve();
    });
    await Promise.all([control._refresh(), control._refresh(), control._refresh()]);
    expect(state).toEqual({ begun: 2, atOnce: 0, most: 1 });
    await control._refresh();
    expect(state.begun).toBe(3);
  });

  it("is taken anew with the hosts that are left, within the same", async () => {
    const given: unknown[] = [];
    const { control } = make(async (_count, hosts) => {
      given.push(hosts);
      if (hosts === undefined) await control._refresh("those that are left");
    });
    await control._refresh();
    expect(given).toEqual([undefined, "those that are left"]);
  });

  it("is tried again after what nobody foresaw, and throws at nobody", async () => {
    const { control, state, clock } = make(async (count) => {
      if (count === 1) throw new TypeError("Cannot read properties of null");
    });
    const refreshed = control._refresh();
    await clock.advance(2_000);
    await refreshed;
    expect(state.begun).toBe(2);
  });

  it("is given up when the driver is closed", async () => {
    const { control, state, clock } = make(async () => {
      control._isShuttingDown = true;
      throw new Error("closed");
    });
    const refreshed = control._refresh();
    await clock.advance(2_000);
    await refreshed;
    expect(state.begun).toBe(1);
  });

  it("is where we expect it in the driver that is installed", () => {
    const driver = new Client({ contactPoints: ["127.0.0.1"], localDataCenter: "any" });
    const control = (driver as unknown as { controlConnection: ControlConnection }).controlConnection;
    expect(control._refresh).toBeInstanceOf(Function);
    expect(control._isShuttingDown).toBe(false);
  });
});
