import { describe, expect, it } from "vitest";
import { allKept, countPromises, type HeardRecord, type SendRecord } from "./count.ts";
import type { KeptLog } from "./reader.ts";

const C = "d1.2";

function world() {
  const texts = ["a", "b", "c"];
  const sends: SendRecord[] = texts.map((text, at) => ({
    channelId: C,
    author: 1,
    text,
    outcome: { kind: "acknowledged", messageId: at + 1 },
  }));
  const entries = new Map(
    texts.map((text, at) => [at + 1, { messageId: at + 1, author: 1, producer: 9, number: at + 1, text }]),
  );
  const heard: HeardRecord[] = ["one", "two"].map((device) => ({
    device,
    channelId: C,
    entries: texts.map((text, at) => ({ messageId: at + 1, text })),
  }));
  const log = { entries, torn: [] as number[] };
  return { sends, entries, heard, log, logs: new Map<string, KeptLog>([[C, log]]) };
}

const nothingBroken = { lost: 0, twice: 0, outOfOrder: 0, holes: 0, unanswered: 0, refused: 0 };

describe("the count of the promises", () => {
  it("is zero where all were kept", () => {
    const { sends, heard, logs } = world();
    const counts = countPromises(sends, heard, logs);
    expect(counts).toEqual({ sent: 3, acknowledged: 3, kept: 3, delivered: 6, ...nothingBroken });
    expect(allKept(counts)).toBe(true);
  });

  const faults: Record<string, [(w: ReturnType<typeof world>) => void, Partial<typeof nothingBroken>]> = {
    "an acknowledged message that is not there": [({ entries }) => entries.delete(3), { lost: 3 }],
    "an acknowledged message with another text": [
      ({ entries }) => entries.set(2, { messageId: 2, author: 1, producer: 9, number: 2, text: "x" }),
      { lost: 3 },
    ],
    "a message that stands in the log twice": [
      ({ entries, heard }) => {
        entries.set(4, { messageId: 4, author: 1, producer: 9, number: 4, text: "c" });
        for (const { entries: told } of heard) told.push({ messageId: 4, text: "c" });
      },
      { twice: 1 },
    ],
    "an id with two records": [({ log }) => log.torn.push(2), { twice: 1 }],
    "two sends with one acknowledgement": [
      ({ sends }) =>
        sends.push({ channelId: C, author: 1, text: "c", outcome: { kind: "acknowledged", messageId: 3 } }),
      { twice: 1 },
    ],
    "an entry that a device was told twice": [
      ({ heard }) => heard[0]?.entries.push({ messageId: 3, text: "c" }),
      { twice: 1 },
    ],
    "an entry that came after a later one": [({ heard }) => heard[0]?.entries.reverse(), { outOfOrder: 2 }],
    "texts kept in another order than they were sent in": [({ sends }) => sends.reverse(), { outOfOrder: 2 }],
    "an id that is missing in the log": [
      ({ entries, heard, sends }) => {
        entries.delete(2);
        sends.splice(1, 1);
        for (const { entries: told } of heard) told.splice(1, 1);
      },
      { holes: 1 },
    ],
    "an entry that a device was never told": [({ heard }) => heard[1]?.entries.splice(1, 1), { holes: 1 }],
    "a send that was never answered": [
      ({ sends }) => sends.push({ channelId: C, author: 1, text: "d", outcome: { kind: "waiting" } }),
      { unanswered: 1 },
    ],
  };
  it.each(Object.entries(faults))("sees %s", (_fault, [plant, expected]) => {
    const planted = world();
    plant(planted);
    const counts = countPromises(planted.sends, planted.heard, planted.logs);
    expect(counts).toMatchObject({ ...nothingBroken, ...expected });
    expect(allKept(counts)).toBe(false);
  });
});
