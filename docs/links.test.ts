// Pages that lead nowhere are worse than none: every link, every heading that is linked to, and every file that is named in
// the pages exists.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const pages = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".md"))
  .map((name) => join("docs", name));
const read = (path: string) => readFileSync(join(root, path), "utf8");
/** Comes out of measurements, so a checkout may be without it. */
const measured = "docs/performance.md";
const proseOf = (page: string) => read(page).replaceAll(/```.*?```/gs, "");

/** How a heading is written in a link. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .trim()
    .replaceAll(" ", "-");
const anchorsOf = (page: string) => [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) => anchorOf(text));

describe.each(["README.md", ...pages])("%s", (page) => {
  const prose = proseOf(page);

  it("links to what exists", () => {
    const broken = [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = ""]) => target)
      .filter((target) => !/^https?:/.test(target))
      .filter((target) => {
        const [path = "", anchor] = target.split("#");
        const file = path === "" ? page : normalize(join(dirname(page), path));
        if (!existsSync(join(root, file))) return file !== measured;
        return anchor !== undefined && !anchorsOf(file).includes(anchor);
      });
    expect(broken).toEqual([]);
  });

  it("names files that exist", () => {
    const named = [...prose.matchAll(/`((?:[\w.-]+\/)+[\w.-]+\.(?:ts|proto|md|json))`/g)].map(([, path = ""]) => path);
    const known = (path: string) => existsSync(join(root, path)) || existsSync(join(root, dirname(page), path));
    expect(named.filter((path) => !known(path))).toEqual([]);
  });
});
