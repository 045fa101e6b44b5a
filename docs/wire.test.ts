// docs/wire.md cannot rot: its bytes are those of the proto files, its limits those of the settings, its frames all there are.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { defaults } from "../cluster.config.ts";
import { ClientFrame, ServerFrame } from "../proto/client.ts";

const page = readFileSync(new URL("wire.md", import.meta.url), "utf8");
const proto = readFileSync(new URL("../proto/client.proto", import.meta.url), "utf8");

const codecs = { ClientFrame, ServerFrame };
const example = /```hex (ClientFrame|ServerFrame)\n(.*?)```\n```json\n(.*?)```/gs;
const examples = [...page.matchAll(example)].map(([, kind, annotated = "", json = ""]) => ({
  kind: kind as keyof typeof codecs,
  hex: annotated.replaceAll(/#.*$/gm, "").replaceAll(/\s/g, ""),
  frame: JSON.parse(json) as ClientFrame & ServerFrame,
}));

describe("the examples of docs/wire.md", () => {
  it("are all found, a hello, a send, its ack and a delivery among them", () => {
    expect(examples).toHaveLength(page.split("```hex").length - 1);
    const bodies = examples.flatMap(({ frame }) => Object.keys(frame));
    expect(bodies).toEqual(
      expect.arrayContaining(["hello", "welcome", "caughtUp", "send", "sent", "delivery", "error"]),
    );
  });

  it.each(examples)("encode to the bytes that are shown: $kind $hex", ({ kind, hex, frame }) => {
    expect(Buffer.from(codecs[kind].encode(frame).finish()).toString("hex")).toBe(hex);
  });

  it.each(examples)("decode to the fields that are shown: $kind $hex", ({ kind, hex, frame }) => {
    const decoded = codecs[kind].decode(Buffer.from(hex, "hex"));
    expect(JSON.parse(JSON.stringify(decoded))).toEqual(frame);
  });
});

describe("the tables of docs/wire.md", () => {
  it("name every body of a frame", () => {
    const bodies = (message: string) => {
      const oneof = new RegExp(`message ${message} \\{.*?oneof body \\{(.*?)\\}`, "s").exec(proto)?.[1] ?? "";
      return [...oneof.matchAll(/\w+ (\w+) = \d+;/g)].map(([, name]) => name);
    };
    const named = bodies("ClientFrame").concat(bodies("ServerFrame"));
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !page.includes(`\`${name}\``) && !page.includes(`\`${name} {`))).toEqual([]);
  });

  it("name every reason of a go-away", () => {
    const reasons = [...(/enum Reason \{(.*?)\}/s.exec(proto)?.[1] ?? "").matchAll(/(\w+) = \d+;/g)];
    expect(reasons).toHaveLength(4);
    for (const [, reason] of reasons) expect(page).toMatch(new RegExp(`^\\| \`${reason}\` \\|`, "m"));
  });

  it("give the limits that are set", () => {
    const rows = [...page.matchAll(/^\|[^|]+\| ([\d,]+) \| `(\w+)\.(\w+)` \|/gm)];
    expect(rows.length).toBeGreaterThan(25);
    const sections = defaults as unknown as Record<string, Record<string, unknown>>;
    const shown = rows.map(([, value = "", section, name]) => [section, name, Number(value.replaceAll(",", ""))]);
    expect(shown).toEqual(rows.map(([, , section = "", name = ""]) => [section, name, sections[section]?.[name]]));
  });
});
