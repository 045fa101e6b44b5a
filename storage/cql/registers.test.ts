import { describe, expect, it } from "vitest";
import { silentLogger, systemClock } from "../../runtime/index.ts";
import type { RegisterWrite } from "../registers/port.ts";
import { storageDefaults } from "../settings.ts";
import type { Statement, Write } from "./client.ts";
import { createCqlRegisters } from "./registers.ts";

const settings = { ...storageDefaults, retryPauseMs: 1, retryPauseMaxMs: 2, writeAttemptsMax: 3, registerWritesMax: 4 };
const attempts = { clock: systemClock, settings, log: silentLogger, closed: () => false };

const pointer = (owner: string, name: string, text = name): RegisterWrite => ({
  family: "inbox",
  owner,
  name,
  timestamp: 7,
  value: Buffer.from(text),
});

/** A ring that does as it is told. */
function ringThat(answer: (statements: readonly Statement[]) => Promise<void>) {
  const sent: (readonly Statement[])[] = [];
  const send = ({ statements }: Write) => {
    sent.push(statements);
    return answer(statements);
  };
  const client = { write: send, read: async () => [] };
  return { sent, registers: createCqlRegisters(client, attempts) };
}

describe("registers on a ring", () => {
  it("sends one batch an owner and family, and no other", async () => {
    const { sent, registers } = ringThat(async () => {});
    await registers.write([
      pointer("1", "g1"),
      pointer("2", "g1"),
      pointer("1", "g2"),
      { ...pointer("1", "x"), family: "head" },
    ]);
    expect(sent.map((batch) => batch.length).toSorted()).toEqual([1, 1, 2]);
  });

  it("keeps a batch small", async () => {
    const { sent, registers } = ringThat(async () => {});
    await registers.write(Array.from({ length: 130 }, (_, i) => pointer("1", `g${i}`)));
    expect(sent.map((batch) => batch.length)).toEqual([64, 64, 2]);
    sent.length = 0;
    await registers.write([pointer("1", "a", "x".repeat(200_000)), pointer("1", "b", "x".repeat(200_000))]);
    expect(sent.map((batch) => batch.length)).toEqual([1, 1]);
  });

  it("sends a write of unknown outcome again, the same bytes", async () => {
    let failures = 2;
    const { sent, registers } = ringThat(async () => {
      if (failures-- > 0) throw new Error("no answer in time");
    });
    await registers.write([pointer("1", "g1")]);
    expect(sent).toHaveLength(3);
    expect(new Set(sent.map((batch) => JSON.stringify(batch))).size).toBe(1);
  });

  it("tells after some attempts that the store is away, and that it may have been kept", async () => {
    const { sent, registers } = ringThat(() => Promise.reject(new Error("no quorum")));
    await expect(registers.write([pointer("1", "g1")])).rejects.toMatchObject({
      code: "UNAVAILABLE",
      retryable: true,
      executed: "maybe",
    });
    expect(sent).toHaveLength(3);
  });

  it("does not send what had not left when a part of it has failed", async () => {
    const { sent, registers } = ringThat(() => Promise.reject(new Error("no quorum")));
    const many = Array.from({ length: 100 }, (_, i) => pointer(String(i), "g1"));
    await expect(registers.write(many)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(sent.length).toBeLessThanOrEqual(4 * 3);
  });

  it("has so many writes of a call in flight at most", async () => {
    let inFlight = 0;
    let most = 0;
    const { registers } = ringThat(async () => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      await Promise.resolve();
      inFlight -= 1;
    });
    await registers.write(Array.from({ length: 100 }, (_, i) => pointer(String(i), "g1")));
    expect(most).toBe(4);
  });
});
