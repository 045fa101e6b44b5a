// The one way of this node to the ring: what is asked, how much of it at once, and how much of it there was.

import type { Client, types } from "cassandra-driver";
import type { StorageSettings } from "../settings.ts";
import type { RingStats } from "../stores.ts";
import { Admission } from "./admission.ts";
import type { Connected, RingCounters } from "./connect.ts";

export type Value = string | number | Buffer | readonly number[];

export interface Statement {
  readonly query: string;
  readonly params: Value[];
}

export interface Paging {
  /** Rows of the first answer: fewer where one row may be large. */
  readonly rowsFirst: number;
  /** Of one row, to size the answers after the first. */
  bytesOf(row: types.Row): number;
}

type Traffic = Pick<
  RingStats,
  "inFlight" | "waiting" | "requests" | "timeOuts" | "errors" | "refused" | "speculations"
>;

const READ = { prepare: true, isIdempotent: true } as const;
const WRITE = { prepare: true } as const;
const BATCH = { prepare: true, logged: false } as const;

export class CqlClient {
  readonly #driver: Client;
  readonly #counters: RingCounters;
  readonly #admission: Admission;
  readonly #settings: StorageSettings;

  constructor({ driver, counters }: Connected, settings: StorageSettings) {
    this.#driver = driver;
    this.#counters = counters;
    this.#admission = new Admission(settings);
    this.#settings = settings;
  }

  /** All rows, over as many answers as it takes: all of them, or an error. */
  async read({ query, params }: Statement, { rowsFirst, bytesOf }: Paging): Promise<types.Row[]> {
    const { pageRowsMax, pageBytes } = this.#settings;
    let rows: types.Row[] = [];
    let bytes = 0;
    let fetchSize = rowsFirst;
    let pageState: string | undefined;
    do {
      const options = pageState === undefined ? { ...READ, fetchSize } : { ...READ, fetchSize, pageState };
      const page = await this.#admission.run(0, () => this.#execute(query, params, options));
      pageState = page.pageState ?? undefined;
      if (rows.length === 0) rows = page.rows;
      else for (const row of page.rows) rows.push(row);
      if (pageState === undefined) break;
      for (const row of page.rows) bytes += bytesOf(row);
      fetchSize = Math.max(1, Math.min(pageRowsMax, Math.floor((pageBytes * rows.length) / Math.max(bytes, 1))));
    } while (pageState !== undefined);
    return rows;
  }

  write({ query, params }: Statement, bytes: number): Promise<unknown> {
    return this.#admission.run(bytes, () => this.#execute(query, params, WRITE));
  }

  /** One partition, so that all of it lands on a replica, or nothing. */
  batch(statements: readonly Statement[], bytes: number): Promise<unknown> {
    return this.#admission.run(bytes, () => {
      this.#counters.requests += 1;
      return this.#driver.batch(statements as Statement[], BATCH);
    });
  }

  /** Does not wait behind others (A2). For rows that are few and small. */
  readUrgently({ query, params }: Statement): Promise<types.Row[]> {
    const fetchSize = this.#settings.pageRowsMax;
    const page = (pageState: string | undefined): Promise<types.Row[]> =>
      this.#admission
        .urgent(() =>
          this.#execute(
            query,
            params,
            pageState === undefined ? { ...READ, fetchSize } : { ...READ, fetchSize, pageState },
          ),
        )
        .then(async (answer) => (answer.pageState ? [...answer.rows, ...(await page(answer.pageState))] : answer.rows));
    return page(undefined);
  }

  writeUrgently({ query, params }: Statement): Promise<unknown> {
    return this.#admission.urgent(() => this.#execute(query, params, WRITE));
  }

  #execute(query: string, params: Value[], options: object): Promise<types.ResultSet> {
    this.#counters.requests += 1;
    return this.#driver.execute(query, params, options);
  }

  get waitingBytes(): number {
    return this.#admission.waitingBytes;
  }

  traffic(): Traffic {
    const { requests, timeOuts, errors, speculations } = this.#counters;
    const { inFlight, waiting, refused } = this.#admission;
    return { inFlight, waiting, requests, timeOuts, errors, refused, speculations };
  }

  async close(): Promise<void> {
    this.#admission.close();
    await this.#driver.shutdown();
  }
}

/** A CQL bigint; cheaper than the driver's own ways from a number. For integers in [0, 2^53). */
export function bigint(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  const high = Math.floor(value / 4_294_967_296);
  bytes.writeUInt32BE(high, 0);
  bytes.writeUInt32BE(value - high * 4_294_967_296, 4);
  return bytes;
}

/** The same memory, as the driver wants it. */
export function blob(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
