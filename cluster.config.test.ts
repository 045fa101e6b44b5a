import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { ConfigError, defaults, resolveConfig } from "./cluster.config.ts";

describe("the settings", () => {
  it("are the defaults with the environment laid over them", () => {
    const { chat, node } = resolveConfig({
      MADANG_CHAT_GROUP_MEMBERS_MAX: "7",
      MADANG_DATA: "/data",
      HOME: "/home/ann",
    });
    expect([chat.groupMembersMax, node.data]).toEqual([7, "/data"]);
    expect(resolveConfig({})).toEqual(defaults);
  });

  it("stop the start with a variable that names none, and say which", () => {
    expect(() => resolveConfig({ MADANG_CHAT_GROUP_MEMBERS: "7" })).toThrow(ConfigError);
    expect(() => resolveConfig({ MADANG_CHAT_GROUP_MEMBERS: "7" })).toThrow(
      /^MADANG_CHAT_GROUP_MEMBERS names no setting/,
    );
  });

  it("let the variables of other commands be", () => {
    const read = execFileSync("git", ["grep", "-hoE", "process\\.env\\.MADANG_\\w+", "--", "*.ts"], {
      encoding: "utf8",
    });
    const names = [...read.matchAll(/MADANG_\w+/g)].map(([name]) => name);
    expect(names).toContain("MADANG_PASSWORD");
    expect(() => resolveConfig(Object.fromEntries(names.map((name) => [name, "1"])))).not.toThrow();
    expect(resolveConfig({ MADANG_PASSWORD: "secret" })).toEqual(defaults);
  });
});
