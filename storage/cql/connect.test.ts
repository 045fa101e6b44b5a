import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../../runtime/index.ts";
import { trustSuite } from "../../tools/services/impostor.test-rig.ts";
import { storageDefaults } from "../settings.ts";
import { connect, memberPort } from "./connect.ts";

trustSuite({
  name: "a node on the ring",
  code: "STORE_REFUSED",
  async connect(port, caFile) {
    const ring = {
      contactPoints: [`127.0.0.1:${port}`],
      keyspace: "test",
      credentials: { username: "ann", password: "secret" },
      tls: { ca: readFileSync(caFile) },
    };
    const { driver } = await connect(ring, "test", { ...storageDefaults, connectWithinMs: 500 }, silentLogger);
    await driver.shutdown();
  },
});

describe("the port at which the members of a ring are asked", () => {
  const pair = (told: string, reached: string) => new Map([[told, reached]]);

  it("is the one of the contact points", () => {
    expect(memberPort({ contactPoints: ["10.0.0.1:19042", "10.0.0.2:19042"] })).toBe(19_042);
    expect(memberPort({ contactPoints: ["[fd00::1]:19042"], translate: new Map() })).toBe(19_042);
    expect(memberPort({ contactPoints: ["ring.example", "fd00::1"] })).toBe(9_042);
  });

  it("is the one that members tell, where they are reached by others", () => {
    const translate = pair("10.0.0.1:19042", "127.0.0.1:31001");
    expect(memberPort({ contactPoints: ["127.0.0.1:31001"], translate })).toBe(19_042);
  });

  it("is not guessed where there are several", () => {
    const several = () => memberPort({ contactPoints: ["10.0.0.1:19042", "10.0.0.2"] });
    expect(several).toThrow(expect.objectContaining({ code: "STORE_UNREACHABLE" }));
  });
});
