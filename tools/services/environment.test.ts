import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { exportLines, givenAddresses } from "./environment.ts";

describe("addresses in the environment", () => {
  test("an address that is set is given, an empty one is not", () => {
    const environment = { NATS_URL: "nats://there:4222", DATABASE_URL: "", PATH: "/bin" };
    expect(givenAddresses(["nats", "postgres"], environment)).toEqual({ NATS_URL: "nats://there:4222" });
  });

  test("an address of an engine that nobody asked for is not looked at", () => {
    expect(givenAddresses(["postgres"], { NATS_URL: "nats://there:4222" })).toEqual({});
  });

  test("a shell reads back what was printed, whatever is in it", () => {
    const url = 'postgres://a:it\'s $HOME `id` "&"@host/db';
    const script = `${exportLines({ DATABASE_URL: url })}printf %s "$DATABASE_URL"`;
    expect(execFileSync("sh", ["-c", script], { encoding: "utf8" })).toBe(url);
  });
});
