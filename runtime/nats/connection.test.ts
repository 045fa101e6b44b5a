import { type AddressInfo, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { trustSuite } from "../../tools/services/impostor.test-rig.ts";
import type { Logger } from "../logger.ts";
import { silentLogger } from "../logger.ts";
import { connectNats, natsDefaults } from "./connection.ts";

const INFO = { server_id: "x", version: "2.14.9", proto: 1, headers: true, max_payload: 1_048_576 };

trustSuite({
  name: "a node on NATS",
  code: "NATS_REFUSED",
  greet: async (socket) => void socket.write(`INFO ${JSON.stringify({ ...INFO, tls_required: true })}\r\n`),
  connect(port, caFile) {
    const url = `tls://ann:secret@127.0.0.1:${port}`;
    const settings = { ...natsDefaults, url, caFile, connectWithinMs: 500 };
    return connectNats({ settings, name: "test", log: silentLogger });
  },
});

describe("what the server permits", () => {
  /** As far as it has to go: it lets everybody in, and permits the subject "mine" alone. */
  const serve = async () => {
    const server = createServer((socket) => {
      socket.write(`INFO ${JSON.stringify(INFO)}\r\n`);
      socket
        .on("error", () => undefined)
        .on("data", (bytes) => {
          for (const [verb, subject] of String(bytes)
            .split("\r\n")
            .map((line) => line.split(" "))) {
            if (verb === "PING") socket.write("PONG\r\n");
            if (verb === "SUB" && subject !== "mine") {
              socket.write(`-ERR 'Permissions Violation for Subscription to "${subject}"'\r\n`);
            }
          }
        });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `nats://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const said: string[] = [];
    const log: Logger = { ...silentLogger, warn: (_facts, sentence) => void said.push(sentence) };
    const nats = await connectNats({ settings: { ...natsDefaults, url }, name: "test", log });
    const close = async () => {
      await nats.connection.close();
      server.close();
    };
    return { nats, said, close };
  };

  it("is known before a node goes on, and told by one error", async () => {
    const { nats, said, close } = await serve();
    nats.subscribe("mine", undefined, () => {});
    nats.subscribe("theirs", undefined, () => {});
    await expect(nats.permitted()).rejects.toMatchObject({
      code: "NATS_REFUSED",
      retryable: false,
      message: expect.stringContaining('"theirs"'),
    });
    expect(said).toEqual([]);
    await close();
  });

  it("is enough, and what it does not permit later is said in the log", async () => {
    const { nats, said, close } = await serve();
    nats.subscribe("mine", undefined, () => {});
    await nats.permitted();
    nats.subscribe("theirs", undefined, () => {});
    await expect.poll(() => said).toContain("a subscription failed");
    await close();
  });
});
