// The one way of this node to the ring: what is asked, how much of it at once, and how much of it there was.

import type { Client, types } from "cassandra-driver";
import type { Clock } from "../../runtime/index.ts";
import type { StorageSettings } from "../settings.ts";
import type { RingStats } from "../stores.ts";
import { Admission } from "./admission.ts";
import type { Connected, RingCounters } from "./connect.ts";
import { Departures } from "./departures.ts";
import type { Place, PreferredMembers } from "./preferred-members.ts";
import { routingKeyOf } from "./routing-key.ts";

export type Value = string | number | Buffer;

export interface Statement {
  readonly query: string;
  readonly params: Value[];
}

/** What is written of one partition: all of it lands on a replica, or nothing. */
export interface Write {
  /** The values of its key, in the order of the table. */
  readonly partition: readonly Value[];
  readonly statements: readonly Statement[];
  /** Of the values that are written. */
  readonly bytes: number;
  /** An acknowledgement waits for it: while the ring is calm it leaves alone, and is answered sooner (departures.ts, W4). */
  readonly awaited?: boolean;
}

export interface Paging {
  /** Rows of the first answer: fewer where one row may be large. */
  readonly rowsFirst: number;
  /** There cannot be more: where so many are found, nobody asks for others. */
  readonly rowsMax?: number;
  /** Of one row, to size the answers after the first. */
  bytesOf(row: types.Row): number;
}

/** What was sent, and how much of it failed: counters. */
export interface Written {
  writes: number;
  rows: number;
  bytes: number;
  failed: number;
}

export const nothingWritten = (): Written => ({ writes: 0, rows: 0, bytes: 0, failed: 0 });

type Traffic = Omit<RingStats, "verifyReads" | "tenuresLost" | "batches" | "batchRows">;

/** Also what is written: it carries its timestamp with it, and lands twice as it lands once. */
const MAY_BE_REPEATED = { prepare: true, isIdempotent: true } as const;

export class CqlClient {
  readonly #driver: Client;
  readonly #counters: RingCounters;
  readonly #localDataCenter: string;
  readonly #admission: Admission;
  readonly #departures: Departures;
  readonly #members: PreferredMembers;
  readonly #settings: StorageSettings;

  constructor(
    { driver, counters, localDataCenter, members }: Connected,
    settings: StorageSettings,
    clock: Pick<Clock, "soon">,
  ) {
    this.#driver = driver;
    this.#counters = counters;
    this.#localDataCenter = localDataCenter;
    this.#admission = new Admission(settings);
    this.#departures = new Departures({
      send: (statements, place) => this.#send(statements, place),
      placeOf: (partition) => this.placeOf(partition),
      memberFor: (place) => members.preferred(driver.keyspace, place),
      inFlight: () => this.#admission.inFlight,
      limits: settings,
      clock,
    });
    this.#members = members;
    this.#settings = settings;
  }

  /** For who asks the same partition again and again. */
  placeOf(partition: readonly Value[]): Place {
    return this.#members.place(routingKeyOf(partition));
  }

  /** All rows, over as many answers as it takes: all of them, or an error. */
  read(statement: Statement, paging: Paging): Promise<types.Row[]> {
    return this.#read(statement, undefined, paging, (request) => this.#admission.run(0, request));
  }

  /** Does not wait behind others (A2). For rows that are few and small. `place` spares the driver to work it out. */
  readUrgently(statement: Statement, place?: Place): Promise<types.Row[]> {
    const paging = { rowsFirst: this.#settings.pageRowsMax, bytesOf: () => 0 };
    return this.#read(statement, place, paging, (request) => this.#admission.urgent(request));
  }

  async #read(
    { query, params }: Statement,
    place: Place | undefined,
    { rowsFirst, rowsMax, bytesOf }: Paging,
    admit: (request: () => Promise<types.ResultSet>) => Promise<types.ResultSet>,
  ): Promise<types.Row[]> {
    const { pageRowsMax, pageBytes } = this.#settings;
    const rows: types.Row[] = [];
    let bytes = 0;
    let fetchSize = rowsFirst;
    let pageState: string | undefined;
    for (;;) {
      const options = { ...MAY_BE_REPEATED, ...place, fetchSize, pageState };
      const page = await admit(() => this.#execute(query, params, options));
      for (const row of page.rows) rows.push(row);
      pageState = page.pageState ?? undefined;
      if (pageState === undefined || rows.length === rowsMax) return rows;
      for (const row of page.rows) bytes += bytesOf(row);
      fetchSize = Math.max(1, Math.min(pageRowsMax, Math.floor((pageBytes * rows.length) / Math.max(bytes, 1))));
    }
  }

  /** May leave with others (departures.ts), and fails for itself. `written` counts it. */
  write(write: Write, written?: Written): Promise<unknown> {
    if (written !== undefined) {
      written.writes += 1;
      written.rows += write.statements.length;
      written.bytes += write.bytes;
    }
    return this.#admission.run(write.bytes, () => this.#departures.leave(write), written);
  }

  #send(statements: readonly Statement[], place: Place): Promise<unknown> {
    const how = { ...MAY_BE_REPEATED, ...place, logged: false };
    const [only] = statements;
    if (only !== undefined && statements.length === 1) return this.#execute(only.query, only.params, how);
    this.#counters.requests += 1;
    return this.#driver.batch(statements as Statement[], how);
  }

  /** (A2) */
  writeUrgently({ query, params }: Statement): Promise<unknown> {
    return this.#admission.urgent(() => this.#execute(query, params, MAY_BE_REPEATED));
  }

  #execute(query: string, params: Value[], options: object): Promise<types.ResultSet> {
    this.#counters.requests += 1;
    return this.#driver.execute(query, params, options);
  }

  /** Requests wait for those that are on their way. */
  get isFull(): boolean {
    return this.#admission.waiting > 0;
  }

  get waitingBytes(): number {
    return this.#admission.waitingBytes;
  }

  traffic(): Traffic {
    const { requests, timeOuts, errors, speculations } = this.#counters;
    const { inFlight, waiting, refused } = this.#admission;
    const members = this.#driver.hosts.values().filter(({ datacenter }) => datacenter === this.#localDataCenter);
    const membersReached = members.filter((member) => member.isUp()).length;
    return {
      members: members.length,
      membersReached,
      inFlight,
      waiting,
      requests,
      writesTogether: this.#departures.together,
      timeOuts,
      errors,
      refused,
      speculations,
    };
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

/** A CQL list of ints in one piece: the driver would make two buffers for each of them. */
export function ints(values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(4 + values.length * 8);
  bytes.writeInt32BE(values.length, 0);
  values.forEach((value, i) => {
    bytes.writeInt32BE(4, 4 + i * 8);
    bytes.writeInt32BE(value, 8 + i * 8);
  });
  return bytes;
}
