import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, it } from "vitest";
import { silentLogger, systemClock } from "../../runtime/index.ts";
import { trustSuite } from "../../tools/services/impostor.test-rig.ts";
import { createPostgresPool } from "./postgres-pool.ts";
import { postgresDefaults } from "./settings.ts";

const settings = { ...postgresDefaults, connectWithinMs: 500 };
const poolOf = (url: string) => createPostgresPool({ url, clock: systemClock, log: silentLogger, settings });

trustSuite({
  name: "a node on PostgreSQL",
  code: "DATABASE_REFUSED",
  async greet(socket) {
    await once(socket, "data"); // may we speak TLS?
    socket.write("S");
  },
  async connect(port, caFile) {
    const pool = poolOf(`postgres://ann:secret@127.0.0.1:${port}/db?sslmode=verify-full&sslrootcert=${caFile}`);
    try {
      await pool.connect();
    } finally {
      await pool.end();
    }
  },
});

/** As far as it has to go: it asks for proof by SCRAM, and then waits for it. */
it("hangs up when it has no password to show", async () => {
  const frame = (...parts: Buffer[]) => {
    const body = Buffer.concat(parts);
    const head = Buffer.alloc(5);
    head.write("R");
    head.writeUInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const kind = (number: number) => Buffer.from([0, 0, 0, number]);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const hungUp = once(server, "connection").then(async ([socket]) => {
    await once(socket, "data");
    socket.write(frame(kind(10), Buffer.from("SCRAM-SHA-256\0\0")));
    const [answer] = await once(socket, "data");
    const nonce = /r=([^,]+)/.exec(String(answer))?.[1];
    socket.write(frame(kind(11), Buffer.from(`r=${nonce}more,s=c2FsdA==,i=4096`)));
    await once(socket, "close");
  });
  const pool = poolOf(`postgres://ann@127.0.0.1:${(server.address() as AddressInfo).port}/db`);
  await expect(pool.connect()).rejects.toMatchObject({ code: "DATABASE_REFUSED" });
  await pool.end();
  await hungUp;
  server.close();
});

it("says which file of its address it cannot read", async () => {
  const pool = poolOf("postgres://ann@127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/nowhere/authority.pem");
  const cause = expect.objectContaining({ message: expect.stringContaining("/nowhere/authority.pem") });
  await expect(pool.connect()).rejects.toMatchObject({ code: "DATABASE_REFUSED", cause });
  await pool.end();
});
