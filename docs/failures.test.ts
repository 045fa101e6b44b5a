// docs/failures.md says which scenario prints a number, and by which words it is found: both are there.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const page = readFileSync(new URL("failures.md", import.meta.url), "utf8");
const folder = new URL("../chaos/cluster/", import.meta.url);
const sources = readdirSync(folder).filter((name) => name.endsWith(".ts"));
const textOf = (name: string) => readFileSync(new URL(name, folder), "utf8");
const measured = page
  .split("\n")
  .map((row) => /\| `([a-z][a-z-]*)`(.*) \|$/.exec(row))
  .flatMap((found) => (found === null ? [] : [{ scenario: found[1] ?? "", rest: found[2] ?? "" }]))
  .filter(({ rest }) => rest === "" || rest.startsWith(":"));

describe("what docs/failures.md calls measured", () => {
  it("is printed by scenarios that there are", () => {
    const [, listed = ""] = /const scenarios[^=]*= \{(.*?)\};/s.exec(textOf("main.ts")) ?? [];
    const named = new Set(measured.map(({ scenario }) => scenario));
    expect(named.size).toBeGreaterThan(3);
    for (const scenario of named) expect(listed).toMatch(new RegExp(`(^|[ ,"])${scenario}[ ,":]`));
  });

  it.each(measured.flatMap(({ rest }) => [...rest.matchAll(/"([^"]+)"/g)].map(([, words = ""]) => words)))(
    "is found by the words: %s",
    (words) => {
      expect(sources.some((name) => textOf(name).includes(words))).toBe(true);
    },
  );
});
