// What goes wrong between a node and PostgreSQL, and how it is told.

import { connect, createServer } from "node:net";
import { Kysely, PostgresDialect } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Clock, pause, silentLogger, systemClock } from "../../runtime/index.ts";
import { type AccountStore, applyAccountsSchema, openPostgresAccounts, postgresDefaults } from "./index.ts";
import { useDatabase } from "./postgres.test-rig.ts";
import { createPostgresPool } from "./postgres-pool.ts";
import type { Tables } from "./schema.ts";
import type { PostgresSettings } from "./settings.ts";

const database = useDatabase();
const open = (settings: Partial<PostgresSettings> = {}, url = database.url, clock: Clock = systemClock) =>
  openPostgresAccounts({ url, clock, log: silentLogger, settings: { ...postgresDefaults, ...settings } });
const ann = { userId: 1, name: "ann", displayName: "Ann", passwordHash: "h" };
const within = async <T>(ms: number, work: () => Promise<T>): Promise<T> => {
  const fromMs = systemClock.monotonicMs();
  try {
    return await work();
  } finally {
    expect(systemClock.monotonicMs() - fromMs).toBeLessThan(ms);
  }
};
const withPool = async (url: string, some: Partial<PostgresSettings>, work: (db: Kysely<Tables>) => Promise<void>) => {
  const settings = { ...postgresDefaults, ...some };
  const pool = createPostgresPool({ url, clock: systemClock, log: silentLogger, settings });
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  try {
    await work(db);
  } finally {
    await db.destroy();
  }
};
const changed = (change: (url: URL) => void) => {
  const url = new URL(database.url);
  change(url);
  return url.toString();
};

beforeAll(async () => {
  await applyAccountsSchema({ url: database.url, clock: systemClock, log: silentLogger });
});

describe("a node that starts", () => {
  const refusal = async (url: string, settings: Partial<PostgresSettings> = {}) => {
    const error: unknown = await within(4_000, () => open(settings, url)).catch((thrown: unknown) => thrown);
    return error as { code: string; retryable: boolean; message: string; stack: string };
  };

  it("is told where there is no server", async () => {
    const error = await refusal(changed((url) => (url.port = "1")));
    expect(error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    expect(error.message).toContain(`:1, database ${database.name}`);
    expect(error.message).toContain("ECONNREFUSED");
  });

  it("is told of a name that no machine has", async () => {
    const error = await refusal(changed((url) => (url.hostname = "nowhere.invalid")));
    expect(error).toMatchObject({ code: "UNAVAILABLE" });
    expect(error.message).toContain("nowhere.invalid");
  });

  it("is told within the time of a server that accepts and says nothing", async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const silent = changed((url) => {
      url.hostname = "127.0.0.1";
      url.port = String(port);
    });
    expect(await refusal(silent, { connectWithinMs: 500 })).toMatchObject({ code: "UNAVAILABLE" });
    server.close();
  });

  it("is told of a wrong password, a missing database, and TLS that the server does not want, without the password", async () => {
    const wrong = [
      changed((url) => (url.password = "hunter2")),
      changed((url) => (url.pathname = "/no_such_database")),
      changed((url) => url.searchParams.set("sslmode", "require")),
    ];
    for (const url of wrong) {
      const error = await refusal(url);
      expect(error).toMatchObject({ code: "DATABASE_REFUSED", retryable: false });
      expect(error.message).toContain(new URL(url).pathname.slice(1));
      const all = `${error.message} ${error.stack} ${JSON.stringify(error)}`;
      for (const secret of ["hunter2", new URL(database.url).password]) {
        if (secret !== "") expect(all).not.toContain(secret);
      }
    }
  });

  it("is told of an address that is none, without repeating it", async () => {
    for (const url of ["", "not a url hunter2", "http://ann:hunter2@localhost/db"]) {
      const error = await refusal(url);
      expect(error).toMatchObject({ code: "DATABASE_REFUSED" });
      expect(`${error.message} ${error.stack}`).not.toContain("hunter2");
    }
  });

  it("takes a password that is not in the URL", async () => {
    const { password } = new URL(database.url);
    const bare = changed((url) => (url.password = ""));
    const store = await openPostgresAccounts({
      url: bare,
      password: decodeURIComponent(password),
      clock: systemClock,
      log: silentLogger,
    });
    await store.close();
  });
});

describe("a node that runs", () => {
  let store: AccountStore;
  beforeAll(async () => {
    store = await open();
    await store.createUser(ann);
  });
  afterAll(() => store.close());

  it("fails fast while the server is away, can tell what took effect, and goes on by itself when it is back", async () => {
    const giveBack = await database.takeAway();
    for (let at = 0; at < 30; at++) {
      const read = within(2_000, () => store.profile(1));
      await expect(read).rejects.toMatchObject({ code: "UNAVAILABLE", retryable: true });
    }
    const many = await Promise.allSettled(Array.from({ length: 100 }, () => within(2_000, () => store.requestsOf(1))));
    expect(many.every(({ status }) => status === "rejected")).toBe(true);
    await expect(store.rename(1, "away")).rejects.toMatchObject({ code: "UNAVAILABLE", executed: "no" });
    await giveBack();
    expect(await store.profile(1)).toMatchObject({ displayName: "Ann" });
  });

  it("serves the next caller when all its idle connections were cut", async () => {
    await Promise.all(Array.from({ length: 20 }, () => store.profile(1)));
    expect(await database.cutAll()).toBeGreaterThan(5);
    await pause(systemClock, 100);
    const reads = Array.from({ length: 50 }, () => store.profile(1));
    expect((await Promise.all(reads)).every((profile) => profile?.name === "ann")).toBe(true);
  });

  it("is cut in the middle of a transaction, which then took no effect, and of a statement, which may have", async () => {
    const loginId = "in the middle";
    const logIn = {
      loginId,
      userId: 1,
      deviceId: undefined,
      deviceName: "phone",
      refreshHash: "m",
      expiresMs: 2 ** 50,
    };
    const { deviceId } = await store.openLogIn(logIn);
    const letGo = await database.hold("select from devices where id = $1 for update", [deviceId]);
    const waiting = store.rotate("m", "n", 2 ** 50); // has the row of the log-in, waits for that of the device
    await pause(systemClock, 200);
    const closing = store.closeLogIn(loginId);
    await pause(systemClock, 200);
    const ends = Promise.allSettled([waiting, closing]);
    await database.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'",
      [database.name],
    );
    expect(await ends).toMatchObject([
      { reason: { code: "UNAVAILABLE", executed: "no" } },
      { reason: { code: "UNAVAILABLE", executed: "maybe" } },
    ]);
    await letGo();
    expect(await store.rotate("m", "n", 2 ** 50)).toMatchObject({ kind: "rotated" });
  });

  it("refuses at once whom it has no room for, and serves the others", async () => {
    const small = await open({ connectionsMax: 2, waitingMax: 5 });
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => small.profile(1)));
    const refused = outcomes.filter(({ status }) => status === "rejected");
    expect(refused.length).toBeGreaterThanOrEqual(40);
    for (const { reason } of refused as PromiseRejectedResult[]) {
      expect(reason).toMatchObject({ code: "OVERLOADED", retryable: true, executed: "no" });
    }
    expect(outcomes.length - refused.length).toBeGreaterThanOrEqual(5);
    await small.close();
  });

  it("waits for a row that another holds for its time only, and keeps the connection", async () => {
    const hasty = await open({ connectionsMax: 1, lockWithinMs: 300 });
    const letGo = await database.hold("select from users where id = 1 for update");
    await expect(within(2_000, () => hasty.rename(1, "x"))).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      executed: "no",
    });
    await letGo();
    expect(await hasty.rename(1, "Ann")).toMatchObject({ displayName: "Ann" });
    await hasty.close();
  });

  it("gives up a server that has stopped answering, by its own clock", async () => {
    // A relay that falls silent stands for a network that drops everything.
    const { hostname, port } = new URL(database.url);
    const relay = await createRelay(hostname, Number(port || "5432"));
    const through = changed((url) => {
      url.hostname = "127.0.0.1";
      url.port = String(relay.port);
    });
    const far = await open({ statementWithinMs: 200, connectWithinMs: 500 }, through);
    relay.silent = true;
    await expect(within(2_500, () => far.rename(1, "Ann"))).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      executed: "maybe",
    });
    relay.silent = false;
    expect(await far.profile(1)).toMatchObject({ name: "ann" });
    await far.close();
    relay.close();
  });

  it("gives up a transaction whose server fell silent in the time of one statement, not of two", async () => {
    const { hostname, port } = new URL(database.url);
    const relay = await createRelay(hostname, Number(port || "5432"));
    const through = changed((url) => {
      url.hostname = "127.0.0.1";
      url.port = String(relay.port);
    });
    await withPool(through, { statementWithinMs: 200 }, async (db) => {
      const work = within(2_000, () =>
        db.transaction().execute(async (transaction) => {
          await transaction.selectFrom("users").select("id").execute();
          relay.silent = true;
          await transaction.selectFrom("users").select("id").execute();
        }),
      );
      await expect(work).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED", executed: "no" });
    });
    relay.close();
  });

  it("survives a connection that is cut between two statements of a transaction", async () => {
    await withPool(database.url, {}, async (db) => {
      const work = db.transaction().execute(async (transaction) => {
        await transaction.selectFrom("users").select("id").execute();
        await database.cutAll();
        await pause(systemClock, 100);
        await transaction.selectFrom("users").select("id").execute();
      });
      await expect(work).rejects.toMatchObject({ code: "UNAVAILABLE", executed: "no" });
      expect(await db.selectFrom("users").select("id").where("id", "=", 1).execute()).toEqual([{ id: 1 }]);
    });
  });

  it("refuses an integer that a JavaScript number cannot hold, and keeps those that it can", async () => {
    await database.query("insert into users values ($1, 'max', 'Max', 'h', 0)", [String(2 ** 53 - 1)]);
    await database.query("insert into users values ($1, 'over', 'Over', 'h', 0)", [String(2n ** 53n)]);
    expect(await store.profileByName("max")).toMatchObject({ userId: Number.MAX_SAFE_INTEGER });
    await expect(store.profileByName("over")).rejects.toThrow("2^53");
    expect(await store.profile(1)).toMatchObject({ name: "ann" });
  });
});

async function createRelay(host: string, port: number) {
  const relay = { port: 0, silent: false, close: () => void server.close() };
  const server = createServer((near) => {
    const far = connect(port, host);
    near.on("data", (bytes) => relay.silent || far.write(bytes));
    far.on("data", (bytes) => relay.silent || near.write(bytes));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => undefined);
      one.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  relay.port = (server.address() as { port: number }).port;
  return relay;
}
