// docs/promises.md names tests that exist: each fact stands in the file beside it.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const page = readFileSync(new URL("promises.md", import.meta.url), "utf8");
const rows = [...page.matchAll(/^\| (.+) \| `([\w./-]+\.ts)` \|$/gm)].map(([, fact = "", file = ""]) => ({
  fact,
  file,
}));

describe("the tests that docs/promises.md names", () => {
  it("are many, for each of the six promises", () => {
    const promises = page.split(/\n## (?=\d · )/).slice(1);
    expect(promises).toHaveLength(6);
    for (const promise of promises) expect(rows.filter(({ fact }) => promise.includes(fact)).length).toBeGreaterThan(2);
  });

  it.each(rows)("exist: $fact", ({ fact, file }) => {
    expect(readFileSync(new URL(`../${file}`, import.meta.url), "utf8")).toContain(fact);
  });
});
