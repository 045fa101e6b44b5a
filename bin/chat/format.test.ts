import { describe, expect, it } from "vitest";
import type { Entry } from "../../client/index.ts";
import { formatChannel, formatEntry, harmless, parseLine, SHOWN_CHARACTERS_MAX } from "./format.ts";

const names = { of: (userId: number) => (userId === 1 ? "alice" : "bob") };
const entry = (text: string): Entry => ({
  messageId: 12,
  author: 1,
  producer: 1,
  number: 1,
  timeMs: new Date(2026, 0, 1, 14, 5).getTime(),
  ordinal: 1,
  settled: 0,
  content: { text: { text, replyTo: 0 } },
});

describe("a typed line", () => {
  it("is a text, unless it begins with one slash", () => {
    expect(parseLine("hello  there")).toEqual({ kind: "text", text: "hello  there" });
    expect(parseLine("//etc")).toEqual({ kind: "text", text: "/etc" });
    expect(parseLine("  ")).toEqual({ kind: "nothing" });
    expect(parseLine('/group "The yard" bob')).toEqual({
      kind: "command",
      name: "group",
      words: ['"The', 'yard"', "bob"],
      rest: '"The yard" bob',
    });
  });
});

describe("what others wrote", () => {
  it("cannot steer the terminal", () => {
    expect(harmless("\u001b[2Jgone\u0007\u009b31m\u007f")).toBe("␛[2Jgone␇\ufffd31m␡");
    expect(harmless("a\u202egnp.exe")).toBe("agnp.exe");
  });

  it("keeps its scripts, lines, and the joiners of emoji", () => {
    const text = "안녕\nمرحبا\t👩‍👩‍👧‍👦";
    expect(harmless(text)).toBe(text);
  });

  it("is shown with its number, time and author, and further lines stand below the text", () => {
    expect(formatEntry(entry("one\ntwo"), names)).toBe("  12 14:05 alice: one\n           two");
  });

  it("is shortened when it is longer than a screen, and never in the middle of a character", () => {
    const text = "😀".repeat(50_000);
    const shown = formatEntry(entry(text), names);
    expect(shown.length).toBeLessThan(SHOWN_CHARACTERS_MAX + 100);
    expect(shown.isWellFormed()).toBe(true);
    expect(shown).toContain("50000 characters");
    expect(formatEntry(entry(text), names, true).length).toBeGreaterThan(100_000);
  });
});

it("a channel is listed with its number, presence and what is unread", () => {
  const row = { title: "bob", unread: 3, online: true, left: false, open: false };
  expect(formatChannel(row, 2)).toBe("  2 ● bob (3 new)");
  expect(formatChannel({ ...row, unread: 0, online: false, open: true }, 10)).toBe(">10 · bob");
});
