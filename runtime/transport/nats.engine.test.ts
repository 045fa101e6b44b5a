import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { systemClock } from "../clock.ts";
import { silentLogger } from "../logger.ts";
import { connectNats, type Nats, natsDefaults } from "../nats/connection.ts";
import { subjectsOf } from "../nats/subjects.ts";
import { transportContract } from "./contract.ts";
import { createNatsTransport } from "./nats.ts";

const url = process.env.NATS_URL ?? "";
const settings = { ...natsDefaults, url };

async function network() {
  const subjects = subjectsOf(`test-${randomUUID()}`);
  const opened: Nats[] = [];
  const nats = async () => {
    const connection = await connectNats({ settings, name: "test", log: silentLogger });
    opened.push(connection);
    return connection;
  };
  return {
    subjects,
    nats,
    async join(nodeId: string, routes = false) {
      const connection = await nats();
      const transport = createNatsTransport({ nats: connection, subjects, nodeId, clock: systemClock, routes });
      return {
        messageBytesMax: transport.messageBytesMax,
        open(events: Parameters<typeof transport.open>[0]) {
          transport.open(events);
        },
        send: transport.send.bind(transport),
        close: () => transport.close(),
        flush: () => connection.flush(),
        stats: transport.stats,
      };
    },
    async settle() {
      await Promise.all(opened.map((connection) => connection.flush()));
    },
    async close() {
      await Promise.all(opened.map((connection) => connection.close()));
    },
  };
}

transportContract("NATS", network);

describe("the NATS transport", () => {
  it("gives what a service sends to one of the nodes that route, with the name that it may use", async () => {
    const { subjects, nats, join, close } = await network();
    const got: string[] = [];
    let enough = () => {};
    const all = new Promise<void>((resolve) => {
      enough = resolve;
    });
    for (const nodeId of ["a#1", "b#1"]) {
      const node = await join(nodeId, true);
      node.open({
        onBatch() {},
        onRequest(service, bytes) {
          got.push(`${service}:${Buffer.from(bytes).toString()}`);
          if (got.length === 3) enough();
        },
      });
      await node.flush();
    }
    const service = await nats();
    for (const text of ["x", "y", "z"]) {
      service.publish(subjects.routes.replace("*", "bot"), Buffer.from(text), "");
    }
    await all;
    await service.flush();
    expect(got.toSorted()).toEqual(["bot:x", "bot:y", "bot:z"]);
    await close();
  });

  it("drops and counts what has no sender, or comes in a lane that is none", async () => {
    const { subjects, nats, join, close } = await network();
    const node = await join("a#1");
    const got: string[] = [];
    const first = new Promise<void>((resolve) => {
      node.open({
        onBatch(_from, _lane, bytes) {
          got.push(Buffer.from(bytes).toString());
          resolve();
        },
        onRequest() {},
      });
    });
    await node.flush();
    const stranger = await nats();
    stranger.publish(subjects.lane("a#1", 0), Buffer.from("no sender"), "");
    stranger.publish(subjects.lane("a#1", 9), Buffer.from("no lane"), subjects.nack("b#1", 1));
    stranger.publish(subjects.lane("a#1", 0), Buffer.from("fine"), subjects.nack("b#1", 2));
    await first;
    expect(got).toEqual(["fine"]);
    expect(node.stats.strange).toBe(2);
    await close();
  });
});

describe("a start with a wrong address", () => {
  it("names the server that does not answer, and no password", async () => {
    const wrong = { ...settings, url: "nats://ann:secret@127.0.0.1:1", connectWithinMs: 500 };
    const failed = connectNats({ settings: wrong, name: "test", log: silentLogger });
    await expect(failed).rejects.toMatchObject({ code: "NATS_UNREACHABLE" });
    await expect(failed).rejects.toThrow(/127\.0\.0\.1:1/);
    await expect(failed).rejects.not.toThrow(/secret/);
  });
});
