// The connections of one node to PostgreSQL: so many at most, so many callers that wait for one, and an end to every wait.
//
// (P1) What goes wrong leaves here as an error that says whether the statement took effect.
// (P2) A connection of which anything is in doubt is closed and never used again. The next caller gets a new one, so a server
//      that was restarted is found again without a word.
// (P3) An integer beyond 2^53 − 1 is an error, never a number that is almost right.

import type { ConnectionOptions } from "node:tls";
import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from "kysely";
import pg from "pg";
import type { Clock, Executed, Logger } from "../../runtime/index.ts";
import { runtimeErrors } from "../../runtime/index.ts";
import { accountErrors } from "./errors.ts";
import { fromConnect, fromStatement, overloaded, unanswered } from "./postgres-errors.ts";
import type { PostgresSettings } from "./settings.ts";

export interface PostgresAddress {
  /** postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=… */
  readonly url: string;
  /** In place of the one in the URL, for those who keep secrets in files. */
  readonly password?: string;
  /**
   * In place of what the URL says of TLS. Without either the connection is not encrypted. Every `sslmode` but `disable` and
   * `no-verify` verifies the certificate and the name in it.
   */
  readonly tls?: Pick<ConnectionOptions, "ca" | "cert" | "key" | "servername">;
}

export interface PoolOptions extends PostgresAddress {
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: PostgresSettings;
}

/** What a statement may take longer than the server allows it, before its connection counts as dead. */
const ANSWER_GRACE_MS = 1_000;

export function createPostgresPool(options: PoolOptions): PostgresPool {
  const { clock, log, settings } = options;
  const { connectionString, place } = readAddress(options);
  const pool = new pg.Pool({
    Client,
    connectionString,
    ...(options.tls === undefined ? {} : { ssl: options.tls }),
    application_name: "madang",
    max: settings.connectionsMax,
    connectionTimeoutMillis: settings.connectWithinMs,
    idleTimeoutMillis: settings.idleConnectionMs,
    statement_timeout: settings.statementWithinMs,
    lock_timeout: settings.lockWithinMs,
    idle_in_transaction_session_timeout: settings.transactionIdleMs,
    keepAlive: true,
    types: { getTypeParser: exactIntegers },
  });
  // Without a listener the loss of a connection would end the process, whether it is idle or in the middle of a transaction.
  pool.on("connect", (client) => client.on("error", () => undefined));
  pool.on("error", ({ message }) => log.warn({ place, reason: message }, "a connection to PostgreSQL was lost"));

  return {
    async connect() {
      if (pool.ending) throw runtimeErrors.SHUTTING_DOWN();
      if (pool.waitingCount >= settings.waitingMax) throw overloaded();
      try {
        return new Connection(await pool.connect(), clock, settings.statementWithinMs + ANSWER_GRACE_MS);
      } catch (thrown) {
        throw fromConnect(thrown);
      }
    },
    end: () => pool.end(),
  };
}

/** What fails on this side of a connection ends it, too: the driver leaves that to the server, who waits for a minute. */
class Client extends pg.Client {
  constructor(options?: string | pg.ClientConfig) {
    super(options);
    this.connection.on("error", () => this.connection.stream.destroy());
  }
}

class Connection implements PostgresPoolClient {
  readonly #client: pg.PoolClient;
  readonly #clock: Clock;
  readonly #answerWithinMs: number;
  #inTransaction = false;
  #broken = false;

  constructor(client: pg.PoolClient, clock: Clock, answerWithinMs: number) {
    this.#client = client;
    this.#clock = clock;
    this.#answerWithinMs = answerWithinMs;
  }

  query<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  query<R>(cursor: never): never & R;
  async query<R>(sql: string, parameters: readonly unknown[] = []): Promise<PostgresQueryResult<R>> {
    // The server rolls back by itself when its client is gone.
    if (this.#broken && sql === "rollback") return { command: "ROLLBACK" as never, rowCount: 0, rows: [] };
    const opens = sql === "begin";
    const executed: Executed = opens || (this.#inTransaction && sql !== "commit") ? "no" : "maybe"; // (P1)
    if (opens) this.#inTransaction = true;
    if (sql === "commit" || sql === "rollback") this.#inTransaction = false;
    try {
      return await this.#answered<R>(sql, parameters, executed);
    } catch (thrown) {
      const { error, broken } = fromStatement(thrown, executed);
      this.#broken ||= broken;
      throw error;
    }
  }

  /** The server ends a statement that takes too long, and says so; this covers a server that says nothing. */
  async #answered<R>(sql: string, parameters: readonly unknown[], executed: Executed): Promise<PostgresQueryResult<R>> {
    let late = () => {};
    const silence = new Promise<never>((_, reject) => {
      late = () => reject(unanswered(executed));
    });
    const timer = this.#clock.after(this.#answerWithinMs, late);
    try {
      const answer = this.#client.query(sql, [...parameters]);
      return (await Promise.race([answer, silence])) as unknown as PostgresQueryResult<R>;
    } finally {
      timer.cancel();
    }
  }

  /** (P2) */
  release(): void {
    this.#client.release(this.#broken);
  }
}

/** (P3) */
function exactIntegers(oid: number, format?: "text" | "binary"): (text: string) => unknown {
  if (oid !== pg.types.builtins.INT8 || format === "binary") return pg.types.getTypeParser(oid, format as "text");
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value)) throw new RangeError("the database holds an integer beyond 2^53");
    return value;
  };
}

/** Where the database is, without who asks and how he proves it. */
export function placeOf(url: string): string {
  return readAddress({ url }).place;
}

function readAddress({ url, password, tls }: PostgresAddress): { connectionString: string; place: string } {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    // Not as a cause: it would carry the text with its password.
    throw accountErrors.DATABASE_REFUSED({
      message: "The address of PostgreSQL is not a URL: postgres://user@host/db.",
    });
  }
  if (!["postgres:", "postgresql:"].includes(parsed.protocol)) {
    throw accountErrors.DATABASE_REFUSED({ message: "The address of PostgreSQL starts with postgres://." });
  }
  if (password !== undefined) parsed.password = encodeURIComponent(password);
  const mode = parsed.searchParams.get("sslmode");
  if (tls !== undefined) {
    for (const name of ["sslmode", "ssl", "sslcert", "sslkey", "sslrootcert"]) parsed.searchParams.delete(name);
  } else if (mode !== null && !["disable", "no-verify"].includes(mode)) {
    parsed.searchParams.set("sslmode", "verify-full"); // half-verified is not verified
  }
  const place = `${parsed.hostname}:${parsed.port || "5432"}, database ${decodeURIComponent(parsed.pathname.slice(1))}`;
  return { connectionString: parsed.toString(), place };
}
