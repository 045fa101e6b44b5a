// The permissions in deploy/ on servers that run them: they are enough for a node, and end at its cluster.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startPermittedNats } from "../client/service/permitted.test-rig.ts";
import { type PushJob, PushJobKind } from "../proto/index.ts";
import { openJetStreamPushQueue, pushDefaults } from "../push/index.ts";
import { streamNames } from "../push/queue/streams.ts";
import { systemClock as clock, connectNats, createConsulStore, natsDefaults, systemRandom } from "../runtime/index.ts";
import { type Services, startServices } from "../tools/services/index.ts";

/** As both files say. */
const cluster = "prod";

function listeningLog() {
  const said: string[] = [];
  const say = (_facts: object, sentence: string) => void said.push(sentence);
  return { said, log: { debug() {}, info() {}, warn: say, error: say } };
}

describe("deploy/consul/policy.hcl", () => {
  const consulToken = randomUUID();
  let services: Services;
  let token: string;
  const address = () => services.environment.CONSUL_HTTP_ADDR as string;

  beforeAll(async () => {
    const acl = { enabled: true, default_policy: "deny", tokens: { initial_management: consulToken } };
    services = await startServices({ only: ["consul"], given: {}, consulConfig: { acl }, consulToken });
    const put = async (path: string, body: object) => {
      const response = await fetch(`${address()}/v1/acl/${path}`, {
        method: "PUT",
        headers: { "x-consul-token": consulToken },
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(await response.text());
      return (await response.json()) as { readonly SecretID: string };
    };
    const rules = readFileSync(new URL("consul/policy.hcl", import.meta.url), "utf8");
    await put("policy", { Name: "nodes", Rules: rules });
    token = (await put("token", { Policies: [{ Name: "nodes" }] })).SecretID;
  });
  afterAll(() => services?.stop());

  const storeOf = (name: string, secret: string) =>
    createConsulStore({
      address: address(),
      token: secret,
      cluster: name,
      sessionTtlMs: 10_000,
      clock,
      random: systemRandom,
      log: listeningLog().log,
    });

  it("is enough for all that a node does at Consul", async () => {
    const store = storeOf(cluster, token);
    const bytes = new TextEncoder().encode("{}");
    expect(await store.wallMs()).toBeGreaterThan(0);
    const session = await store.openSession("a#1");
    expect(await store.putMember("a#1", bytes, session)).toBe(true);
    expect(await store.members()).toHaveLength(1);
    const version = await store.write("coordinator", bytes, 0);
    expect(version).toBeGreaterThan(0);
    expect(
      await store.write("placement", bytes, 0, { key: "coordinator", version: version as number }),
    ).toBeGreaterThan(0);
    expect((await store.read("placement"))?.bytes).toEqual(bytes);
    await new Promise<void>((resolve) => {
      const watch = store.watchMembers(() => {
        watch.close();
        resolve();
      });
    });
    expect(await store.renewSession(session)).toBe(true);
    await store.endSession(session);
    expect(await store.members()).toEqual([]);
    store.close();
  });

  it("gives nothing of another cluster, and nothing without the token", async () => {
    for (const store of [storeOf("other", token), storeOf(cluster, "")]) {
      await expect(store.read("config")).rejects.toMatchObject({ code: "CONSUL_FORBIDDEN" });
      store.close();
    }
  });
});

describe("deploy/nats/permissions.conf", () => {
  it("is enough for a node's push queue, dead letters included, and for nothing of another cluster's", async () => {
    const server = await startPermittedNats();
    const { said, log } = listeningLog();
    const url = server.url.replace("://", `://node:${server.passwords.node}@`);
    const nats = await connectNats({ settings: { ...natsDefaults, url }, name: "a#1", log });
    const settings = { ...pushDefaults, replicas: 1 };
    const queue = await openJetStreamPushQueue({ nats, cluster, clock, settings, log });
    const job = { userId: 7, channelId: "d7.8", messageId: 1, kind: PushJobKind.NOTIFY, author: 8, timeMs: 1 };
    const taken = new Promise<PushJob>((resolve) => {
      queue.consume(async (delivery) => {
        await delivery.deadLetter("of no use");
        resolve(delivery.job);
      });
    });
    await queue.enqueue({ ...job, deviceId: 0, notBeforeMs: 0 });
    expect(await taken).toMatchObject({ messageId: 1 });
    expect(await queue.deadLetters(10)).toMatchObject([{ reason: "of no use" }]);
    await nats.permitted();
    expect(said).toEqual([]);
    expect(streamNames(cluster).advisories).toContain(".MADANG_prod_PUSH.");
    nats.subscribe("madang.other.>", undefined, () => {});
    await expect.poll(() => said).toContain("a subscription failed");
    await queue.close();
    await nats.close();
    await server.stop();
  });
});
