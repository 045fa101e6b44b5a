// Brings a keyspace to the version that this program knows, and tells whether it is there.
//
// (S1) One at a time: two coordinators that make the same table at once give it two identities, and the ring never agrees.
//      The lock is a row that is inserted if there is none, and runs out by itself. Its own table has an identity that is
//      made of its name, so that everybody makes the same one. Lock and version are written by conditions only.
// (S2) A step begins when the whole ring agrees on the step before. Steps can be done twice.

import { createHash, randomUUID } from "node:crypto";
import type { Client } from "cassandra-driver";
import { assert, type Clock, type Logger, pause, runtimeErrors, silentLogger } from "../../runtime/index.ts";
import { storageErrors } from "../errors.ts";
import { type StorageSettings, storageDefaults } from "../settings.ts";
import type { Statement } from "./client.ts";
import { conditionally } from "./conditions.ts";
import { connect, forbidden, isForbidden, isInvalid, type RingAddress, schemaMissing } from "./connect.ts";
import { steps as ownSteps } from "./tables.ts";

export interface CqlSchemaOptions extends RingAddress {
  readonly clock: Clock;
  /** By data centre; for a keyspace that is made now. By default three in the local one, or one if the ring has one member. */
  readonly replicas?: Readonly<Record<string, number>>;
  readonly settings?: Partial<StorageSettings>;
  readonly log?: Logger;
  /** Other steps than the house's own, for tests. */
  readonly steps?: readonly (readonly string[])[];
}

/** Versions before and after; 0 is an empty keyspace. */
export interface AppliedSchema {
  readonly from: number;
  readonly to: number;
}

const REPLICAS = 3;
/** Longer than any step takes; whoever dies while it changes the schema holds up the others for so long. */
const LOCK_S = 120;
const LOCK_PAUSE_MS = 250;
const LOCK_WITHIN_MS = 300_000;
const AGREEMENT_WITHIN_MS = 30_000;
const AGREEMENT_PAUSE_MS = 100;
/** The ring talks a change over before it answers. */
const CHANGE_WITHIN_MS = 30_000;

const SELECT_KEYSPACE = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
const SELECT_TABLE = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
const VERSIONS = "schema_version";
const SELECT_VERSION = `SELECT version FROM ${VERSIONS} WHERE name = 'version'`;
const ADVANCE = `UPDATE ${VERSIONS} SET version = ? WHERE name = 'version' IF version = ?`;
const LOCK = `INSERT INTO ${VERSIONS} (name, holder) VALUES ('lock', ?) IF NOT EXISTS USING TTL ${LOCK_S}`;
const UNLOCK = `DELETE FROM ${VERSIONS} WHERE name = 'lock' IF holder = ?`;

const CHANGE = { prepare: false, readTimeout: CHANGE_WITHIN_MS };

/**
 * Safe to run twice, and at once. What is there already needs no permission to make it. Rejects with SCHEMA_TOO_NEW,
 * STORE_UNREACHABLE, STORE_REFUSED or UNAVAILABLE.
 */
export async function applyCqlSchema(options: CqlSchemaOptions): Promise<AppliedSchema> {
  try {
    const settings = { ...storageDefaults, ...options.settings };
    await makeKeyspace(options, settings);
    return await makeTables(options, settings);
  } catch (error) {
    throw isForbidden(error) ? forbidden(options, error) : error;
  }
}

async function makeKeyspace(options: CqlSchemaOptions, settings: StorageSettings): Promise<void> {
  const { clock, log = silentLogger, keyspace } = options;
  const { driver: outside, localDataCenter } = await connect(options, undefined, settings, log);
  try {
    const replicas = options.replicas ?? { [localDataCenter]: outside.hosts.length === 1 ? 1 : REPLICAS };
    const counts = Object.entries(replicas).map(([dataCenter, count]) => `'${dataCenter}': ${count}`);
    const replication = `{'class': 'NetworkTopologyStrategy', ${counts.join(", ")}}`;
    const create = `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = ${replication}`;
    await makeOrFind(outside, clock, create, { query: SELECT_KEYSPACE, params: [keyspace] });
  } finally {
    await outside.shutdown();
  }
}

async function makeTables(options: CqlSchemaOptions, settings: StorageSettings): Promise<AppliedSchema> {
  const { clock, log = silentLogger, keyspace } = options;
  const { driver } = await connect(options, keyspace, settings, log);
  try {
    const create =
      `CREATE TABLE IF NOT EXISTS ${VERSIONS} (name text PRIMARY KEY, version int, holder text) ` +
      `WITH id = ${identityOf(keyspace)} AND comment = 'the version of these tables, and who is changing them'`;
    await makeOrFind(driver, clock, create, { query: SELECT_TABLE, params: [keyspace, VERSIONS] });
    return await migrate(driver, { clock, log, steps: options.steps ?? ownSteps, keyspace });
  } finally {
    await driver.shutdown();
  }
}

/** Rejects with SCHEMA_MISSING or SCHEMA_TOO_NEW unless the keyspace has this version. */
export async function assertSchema(driver: Client, keyspace: string, known = ownSteps.length): Promise<void> {
  const found = await versionOf(driver, keyspace);
  if (found > known) throw tooNew(keyspace, found, known);
  if (found < known) throw schemaMissing(keyspace);
}

interface Migration {
  readonly clock: Clock;
  readonly log: Logger;
  readonly steps: readonly (readonly string[])[];
  readonly keyspace: string;
}

async function migrate(driver: Client, { clock, log, steps, keyspace }: Migration): Promise<AppliedSchema> {
  const holder = randomUUID();
  const until = clock.monotonicMs() + LOCK_WITHIN_MS;
  const from = await versionOf(driver, keyspace);
  for (let version = from; ; version = await versionOf(driver, keyspace)) {
    if (version > steps.length) throw tooNew(keyspace, version, steps.length);
    if (version === steps.length) return { from, to: version };
    if (await isLocked(driver, clock, holder)) break;
    if (clock.monotonicMs() > until) {
      throw runtimeErrors.UNAVAILABLE({ message: `Somebody has been changing the keyspace ${keyspace} for too long.` });
    }
    await pause(clock, LOCK_PAUSE_MS);
  }
  try {
    for (let version = await versionOf(driver, keyspace); version < steps.length; version += 1) {
      await change(driver, clock, steps[version] ?? []);
      await conditionally(driver, clock, ADVANCE, [version + 1, version === 0 ? null : version]);
      log.info({ keyspace, version: version + 1 }, "the keyspace was brought to a newer version");
    }
  } finally {
    await conditionally(driver, clock, UNLOCK, [holder]);
  }
  return { from, to: steps.length };
}

/** 0 before the first step. Rejects with SCHEMA_MISSING when not even the table of versions is there. */
async function versionOf(driver: Client, keyspace: string): Promise<number> {
  try {
    const { rows } = await driver.execute(SELECT_VERSION);
    return (rows[0]?.version as number | null | undefined) ?? 0;
  } catch (error) {
    throw isInvalid(error) ? schemaMissing(keyspace, error) : error;
  }
}

/** A lock that was taken by an attempt of unknown outcome is found by the next one. */
async function isLocked(driver: Client, clock: Clock, holder: string): Promise<boolean> {
  const { isApplied, found } = await conditionally(driver, clock, LOCK, [holder]);
  return isApplied || found?.holder === holder;
}

/**
 * Not looked for first: whoever finds what another is making at this moment goes on before the ring can use it. To make what is
 * there waits for that, and needs the permission to make it.
 */
async function makeOrFind(driver: Client, clock: Clock, create: string, found: Statement): Promise<void> {
  try {
    await change(driver, clock, [create]);
  } catch (error) {
    if (!isForbidden(error)) throw error;
    const { rows } = await driver.execute(found.query, found.params);
    if (rows.length === 0) throw error;
  }
}

/** (S2) All by one coordinator, which knows its own changes before the others agree. */
async function change(driver: Client, clock: Clock, statements: readonly string[]): Promise<void> {
  const [host] = driver.getState().getConnectedHosts();
  assert(host !== undefined, "a driver that is connected knows a member");
  for (const statement of statements) await driver.execute(statement, [], { ...CHANGE, host });
  const until = clock.monotonicMs() + AGREEMENT_WITHIN_MS;
  const ring = driver.metadata as unknown as { checkSchemaAgreement(): Promise<boolean> }; // its types do not have it
  while (!(await ring.checkSchemaAgreement())) {
    if (clock.monotonicMs() > until) {
      throw runtimeErrors.UNAVAILABLE({
        message: "The members of the ring do not agree on its schema; are all of them up?",
      });
    }
    await pause(clock, AGREEMENT_PAUSE_MS);
  }
}

/** A UUID of the keyspace's name. */
function identityOf(keyspace: string): string {
  const hex = createHash("sha256").update(`madang/${keyspace}/${VERSIONS}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function tooNew(keyspace: string, found: number, known: number): Error {
  return storageErrors.SCHEMA_TOO_NEW({
    message:
      `The keyspace ${keyspace} has schema version ${found}; this program knows up to ${known}. ` +
      "Start a newer version of Madang.",
    detail: { found, known },
  });
}
