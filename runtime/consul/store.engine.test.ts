// The contract on a real Consul, and what only a real one can do. CONSUL_HTTP_ADDR names it.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { pause, systemClock } from "../clock.ts";
import { silentLogger } from "../logger.ts";
import { storeContract } from "../placement/store.contract.ts";
import { seededRandom, systemRandom } from "../random.ts";
import { ConsulClient } from "./client.ts";
import { createConsulStore } from "./store.ts";

const address = process.env.CONSUL_HTTP_ADDR ?? "http://127.0.0.1:8500";
const token = process.env.CONSUL_HTTP_TOKEN ?? "";
const cluster = `test-${Math.floor(systemRandom.next() * 2 ** 40).toString(36)}`;
const raw = new ConsulClient({ address, token });
const connect = (at: string = address) =>
  createConsulStore({
    address: at,
    token,
    cluster,
    clock: systemClock,
    random: seededRandom(1),
    log: silentLogger,
    sessionTtlMs: 10_000,
  });

afterAll(async () => {
  await raw.call(`/v1/kv/madang/${cluster}?recurse`, { method: "DELETE" });
  raw.close();
});

storeContract("Consul", async () => ({
  connect: () => connect(),
  remove: async (key) => void (await raw.call(`/v1/kv/madang/${cluster}/${key}`, { method: "DELETE" })),
  wait: (ms) => pause(systemClock, ms),
  close: async () => {},
}));

describe("a session in Consul", () => {
  it("is bound to no check of its machine", async () => {
    const store = connect();
    const session = await store.openSession("s#1");
    const { body } = await raw.call(`/v1/session/info/${session}`);
    const [made] = JSON.parse(new TextDecoder().decode(body));
    expect(made).toMatchObject({ TTL: "10s", Behavior: "delete", LockDelay: 0 });
    expect(made.NodeChecks ?? []).toEqual([]);
    await store.endSession(session);
    store.close();
  });
});

describe("what answers in Consul's place", () => {
  const servers: Server[] = [];
  afterAll(() => {
    for (const server of servers) server.close();
  });
  const answering = async (status: number, body: string) => {
    const server = createServer((_request, response) => response.writeHead(status).end(body));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  };

  it("is named with its address when nobody is there", async () => {
    const store = connect("http://127.0.0.1:1");
    const refused = { code: "CONSUL_UNREACHABLE", message: expect.stringContaining("http://127.0.0.1:1") };
    await expect(store.read("config")).rejects.toMatchObject(refused);
    store.close();
  });

  it("is told apart: no leader, no permission, something else", async () => {
    const cases = [
      [500, "No cluster leader", "CONSUL_UNREACHABLE"],
      [403, "Permission denied", "CONSUL_FORBIDDEN"],
      [404, "<html>", "ok"],
      [200, "<html>", "CONSUL_GARBAGE"],
      [200, '{"a":1}', "CONSUL_GARBAGE"],
      [302, "elsewhere", "CONSUL_GARBAGE"],
    ] as const;
    for (const [status, body, code] of cases) {
      const store = await answering(status, body);
      const got = await store.read("config").then(
        () => "ok",
        (error) => error.code,
      );
      expect([status, body, got]).toEqual([status, body, code]);
      store.close();
    }
  });
});
