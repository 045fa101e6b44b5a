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

  const cluster = {
    MADANG_CLUSTER: "yard",
    NATS_URL: "nats://127.0.0.1:4222",
    CONSUL_HTTP_ADDR: "http://127.0.0.1:8500",
    CQL_CONTACT_POINTS: "127.0.0.1:9042,127.0.0.2:9042",
    DATABASE_URL: "postgres://127.0.0.1/madang",
  };

  it("of a cluster come from the names that its servers' own tools read, too", () => {
    const config = resolveConfig({ ...cluster, MADANG_ROLES: "actors,push", MADANG_NODE_NAME: "a-1" });
    expect(config.cluster).toMatchObject({ name: "yard", nodeName: "a-1", roles: ["actors", "push"] });
    expect(config.cql.contactPoints).toEqual(["127.0.0.1:9042", "127.0.0.2:9042"]);
    expect(resolveConfig({ ...cluster, MADANG_NATS_URL: "nats://other:1" }).nats.url).toBe("nats://other:1");
  });

  it("of a cluster that cannot be meant stop the start", () => {
    for (const name of ["NATS_URL", "CONSUL_HTTP_ADDR", "CQL_CONTACT_POINTS", "DATABASE_URL"]) {
      expect(() => resolveConfig({ ...cluster, [name]: "" })).toThrow(new RegExp(`needs ${name}`));
    }
    const wrong = [
      { MADANG_CLUSTER: "a.b" },
      { MADANG_NODE_NAME: "svc-bot" },
      { MADANG_NODE_NAME: "a b" },
      { MADANG_ROLES: "actors,cook" },
      { MADANG_PLACEMENT_LEASE_MS: "11000" },
      { MADANG_CQL_TRANSLATE: "10.0.0.1:9042" },
      { MADANG_STORAGE_VERIFIES_AT_ONCE: "0" },
      { MADANG_CHAT_POINTER_FLUSH_MS: "6000" },
      { MADANG_CHAT_PUSH_FLUSH_MS: "6000" },
      { MADANG_PUSH_ENQUEUE_WITHIN_MS: "8000" },
      { MADANG_NATS_PING_EVERY_MS: "1250" },
      { MADANG_NATS_CA_FILE: "/nowhere/authority.pem" },
      { MADANG_NATS_CREDENTIALS_FILE: "/nowhere/node.creds" },
      { MADANG_CONSUL_CA_FILE: "/nowhere/authority.pem" },
      { MADANG_CQL_CA_FILE: "/" },
    ];
    for (const setting of wrong) expect(() => resolveConfig({ ...cluster, ...setting })).toThrow(ConfigError);
    expect(() => resolveConfig({ MADANG_ROLES: "actors" })).toThrow(/set MADANG_CLUSTER too/);
  });
});
