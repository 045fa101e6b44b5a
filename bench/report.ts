// Results as a table and as files.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import type { Result } from "./measure.ts";

const root = process.cwd();

/** Where the results of one of the benches go: a file, and a table in docs/performance.md between two marks. */
export interface Place {
  readonly file: string;
  readonly first: string;
  readonly last: string;
  /** Names and versions of what else took part. */
  readonly beside?: Readonly<Record<string, string>>;
}

const onOneNode: Place = {
  file: "bench/results/latest.json",
  first: "<!-- results: written by make bench -->",
  last: "<!-- end of results -->",
};

/** A Markdown table. */
export function table(results: readonly Result[]): string {
  const heads = ["what", "measured", "baseline", "ratio", "goal", "met"];
  const rows = results.map((result) => [
    result.name,
    withUnit(result.value, result.unit),
    result.baselineValue === null ? "" : `${withUnit(result.baselineValue, result.unit)} (${result.baseline})`,
    ratioOf(result),
    result.goal,
    result.ok === null ? "" : result.ok ? "yes" : "**no**",
  ]);
  return [heads, heads.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function ratioOf({ ratio, spread, unit }: Result): string {
  if (spread === null) return ratio === null ? "" : `${ratio} ×`;
  const [low, high] = spread.map((value) => value.toLocaleString("en"));
  return ratio === null ? `${low} – ${high} ${unit}` : `${ratio} × (${low} – ${high})`;
}

function withUnit(value: number, unit: string): string {
  return `${value.toLocaleString("en", { maximumSignificantDigits: 4 })} ${unit}`;
}

type Kept = Result & { readonly commit: string };

interface File {
  readonly results: readonly Kept[];
}

/** In place of the results of the same names; those of other scenarios stay, each with the commit that it was measured at. */
export async function writeResults(measured: readonly Result[], place = onOneNode): Promise<void> {
  const commit = execFileSync("git", ["rev-parse", "--short=10", "HEAD"], { encoding: "utf8" }).trim();
  const path = join(root, place.file);
  const known = await readFile(path, "utf8").then(
    (text) => (JSON.parse(text) as File).results,
    () => [],
  );
  const fresh = measured.map((result) => ({ ...result, commit }));
  const names = new Set(fresh.map(({ name }) => name));
  const results: Kept[] = [...known.filter(({ name }) => !names.has(name)), ...fresh];

  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const about = {
    atMs: Date.now(),
    machine: `${cpus()[0]?.model.trim() ?? "unknown"}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `Linux ${release()}`,
    node: process.version,
    madang: version,
    ...place.beside,
  };
  await mkdir(join(root, "bench/results"), { recursive: true });
  await writeFile(path, `${JSON.stringify({ about, results }, undefined, 2)}\n`);
  const file = join(root, "docs/performance.md");
  const text = await readFile(file, "utf8");
  const before = text.slice(0, text.indexOf(place.first) + place.first.length);
  const after = text.slice(text.indexOf(place.last));
  const commits = [...new Set(results.map((result) => result.commit))].join(", ");
  const others = Object.entries(place.beside ?? {}).map(([name, of]) => `, ${name} ${of}`);
  const where = `Commit ${commits}; ${about.machine}, ${about.system}, Node.js ${about.node.slice(1)}${others.join("")}.`;
  await writeFile(file, `${before}\n\n${where}\n\n${table(results)}\n\n${after}`);
}
