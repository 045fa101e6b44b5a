// docs/operating.md is equal to the settings and to the metrics.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createMetrics, type Measured } from "../assembly/metrics.ts";
import { defaults, resolveConfig } from "../cluster.config.ts";

const page = readFileSync(new URL("operating.md", import.meta.url), "utf8");

/** As the page writes it. */
function written(value: unknown, unit: string): string {
  if (typeof value === "boolean") return value ? "1" : "0";
  if (typeof value === "number") return unit === "port" ? String(value) : value.toLocaleString("en-US");
  if (Array.isArray(value) && value.length > 0) return value.map((part) => `\`${part}\``).join(", ");
  return String(value) === "" ? "empty" : `\`${String(value)}\``;
}

/** As a variable holds it. */
const asVariable = (value: unknown) => (typeof value === "boolean" ? String(Number(value)) : String(value));

function unitOf(setting: string): string {
  if (setting.endsWith("Port")) return "port";
  if (/Ms(Max)?$/.test(setting)) return "ms";
  if (/bytes/i.test(setting)) return "bytes";
  if (setting.endsWith("KiB")) return "KiB";
  if (setting.endsWith("TokenS") || setting.endsWith("ticketS")) return "s";
  return setting.includes("Share") ? "share" : "–";
}

const settings = Object.entries(defaults).flatMap(([section, values]) =>
  Object.entries(values as Readonly<Record<string, unknown>>).map(([setting, value]) => ({ section, setting, value })),
);
const rows = [...page.matchAll(/^\| `(MADANG_\w+)` \| (.+?) \| (\S+) \| (.+) \|$/gm)].map(
  ([, variable = "", byDefault = "", unit = "", reason = ""]) => ({ variable, byDefault, unit, reason }),
);
const others = [...page.matchAll(/^\| `([A-Z_]+)` \| `(MADANG_\w+)` \|$/gm)].map(([, other = "", name = ""]) => ({
  other,
  name,
}));
const plain = (name: string) => name.replaceAll("_", "").toLowerCase();

describe("the settings of docs/operating.md", () => {
  it("are all settings that there are, in their order, with default, unit and reason", () => {
    const shown = rows.map(({ variable, byDefault, unit }) => [plain(variable), byDefault, unit]);
    const set = settings.map(({ section, setting, value }) => {
      const unit = unitOf(setting);
      return [plain(`madang${section}${setting}`), written(value, unit), unit];
    });
    expect(shown).toEqual(set);
    for (const { reason } of rows) expect(reason.length).toBeGreaterThan(5);
  });

  it("are taken from the variables that are named", () => {
    const environment = Object.fromEntries(
      rows.map(({ variable }, at) => [variable, asVariable(settings[at]?.value)] as const),
    );
    expect(resolveConfig(environment)).toEqual(defaults);
  });

  it("have the short names that are named", () => {
    const names = /^Short names: (.*) stand for/m.exec(page)?.[1] ?? "";
    const short = [...names.matchAll(/`(MADANG_\w+)`/g)].map(([, name = ""]) => name);
    expect(short).toHaveLength(7);
    for (const name of short) {
      const value = asVariable(settings.find(({ setting }) => plain(`madang${setting}`) === plain(name))?.value);
      expect(resolveConfig({ [name]: value })).toEqual(defaults);
    }
  });

  it("have the other names that are named", () => {
    expect(others).toHaveLength(9);
    const cluster = {
      MADANG_CLUSTER: "yard",
      NATS_URL: "nats://n:4222",
      CONSUL_HTTP_ADDR: "c:8500",
      CQL_CONTACT_POINTS: "a:9042,b:9042",
      DATABASE_URL: "postgres://p/madang",
    };
    for (const { other, name } of others) {
      const { [other as keyof typeof cluster]: value = "actors", ...rest } = cluster;
      expect(resolveConfig({ ...rest, [other]: value })).toEqual(resolveConfig({ ...rest, [name]: value }));
      expect(resolveConfig({ ...rest, [other]: value })).not.toEqual(defaults);
    }
  });

  it("that are named elsewhere in the page exist", () => {
    const known = new Set([...rows.map(({ variable }) => variable), ...others.map(({ other }) => other)]);
    const named = [...page.matchAll(/MADANG_[A-Z]+(?:_[A-Z]+)*\b/g)].map(([name]) => name);
    const short = (name: string) => known.has(name.replace("MADANG_", "MADANG_NODE_"));
    expect(named.filter((name) => !known.has(name) && !short(name) && name !== "MADANG_PASSWORD")).toEqual([]);
  });
});

describe("the variables that the other pages name", () => {
  const folder = new URL(".", import.meta.url);
  const pages = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".md"));
  const known = new Set([...page.matchAll(/MADANG_[A-Z]+(?:_[A-Z]+)*\b/g)].map(([name]) => name));

  it.each(pages)("%s: stand in docs/operating.md", (name) => {
    const text = readFileSync(new URL(name, folder), "utf8");
    const named = [...text.matchAll(/MADANG_[A-Z]+(?:_[A-Z]+)*\b/g)].map(([variable]) => variable);
    expect(named.filter((variable) => !known.has(variable))).toEqual([]);
  });
});

describe("the metrics of docs/operating.md", () => {
  it("are all metrics that there are", () => {
    const { registry, measure } = createMetrics();
    measure({} as Measured); // it reads when somebody scrapes
    const there = registry.getMetricsAsArray().map(({ name }) => name);
    const ofTheProcess = /^madang_(process|nodejs)_(?!process_|nodejs_)/;
    const own = there.filter((name) => !ofTheProcess.test(name));
    expect(own.length).toBeGreaterThan(20);
    expect([...page.matchAll(/^\| `(madang_\w+)` \|/gm)].map(([, name]) => name).toSorted()).toEqual(own.toSorted());
    expect(there).toContain("madang_process_cpu_seconds_total");
    expect(there).toContain("madang_nodejs_eventloop_lag_seconds");
  });
});

describe("the log sentences of docs/operating.md", () => {
  it("are written somewhere", () => {
    const section = page.split("\n## Logs\n")[1]?.split("\n## ")[0] ?? "";
    const sentences = [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, sentence = ""]) => sentence);
    expect(sentences.length).toBeGreaterThan(5);
    const root = new URL("..", import.meta.url);
    const sources = execFileSync("git", ["grep", "-hF", "log", "--", "*.ts"], { cwd: root, encoding: "utf8" });
    const spread = execFileSync("git", ["grep", "-hE", '^ *"[a-z].*",$', "--", "*.ts"], {
      cwd: root,
      encoding: "utf8",
    });
    const said = sources + spread;
    expect(sentences.filter((sentence) => !said.includes(`"${sentence}"`))).toEqual([]);
  });
});
