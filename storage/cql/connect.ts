// One driver of the ring, as we want it: a quorum for everything, no repetition of its own, no timestamps of its own.
//
// (D1) The driver repeats nothing that failed, and never asks for less than the quorum. Whoever asked knows what a time-out
//      means, and insists with the same bytes (departures.ts once for each of several, insist.ts and attempts.ts for one).
// (D2) No request carries the wall clock as its timestamp: it would beat every epoch.
// (D3) What is slow is asked of a second coordinator: see speculation.ts.
// (D4) All members can be asked, not only those that somebody named: which one is, see preferred-members.ts.

import type { ConnectionOptions } from "node:tls";
import { Client, errors, type Host, metrics, policies, types } from "cassandra-driver";
import { type Logger, systemClock } from "../../runtime/index.ts";
import { storageErrors } from "../errors.ts";
import type { StorageSettings } from "../settings.ts";
import { type ControlConnection, oneRefreshAtATime } from "./control-connection.ts";
import { PreferredMembers } from "./preferred-members.ts";
import { BoundedSpeculation } from "./speculation.ts";

/** Where the ring is, and how to be let in. */
export interface RingAddress {
  /** `host` or `host:port`; one that answers is enough to find the others. */
  readonly contactPoints: readonly string[];
  readonly keyspace: string;
  /** Needed when the ring has several; a ring that has one tells its name. */
  readonly localDataCenter?: string;
  readonly credentials?: { readonly username: string; readonly password: string };
  readonly tls?: ConnectionOptions;
  /** From the address that a member tells to the one at which it is reached from here, both `host:port`. */
  readonly translate?: ReadonlyMap<string, string>;
}

/** Plain counters in place of the driver's, which are events and cost more than what they count. */
export class RingCounters extends metrics.DefaultMetrics {
  requests = 0;
  timeOuts = 0;
  errors = 0;
  speculations = 0;

  override onClientTimeoutError(): void {
    this.timeOuts += 1;
  }
  override onReadTimeoutError(): void {
    this.timeOuts += 1;
  }
  override onWriteTimeoutError(): void {
    this.timeOuts += 1;
  }
  override onAuthenticationError(): void {
    this.errors += 1;
  }
  override onConnectionError(): void {
    this.errors += 1;
  }
  override onOtherError(): void {
    this.errors += 1;
  }
  override onUnavailableError(): void {
    this.errors += 1;
  }
  override onSpeculativeExecution(): void {
    this.speculations += 1;
  }
  override onClientTimeoutRetry(): void {}
  override onIgnoreError(): void {}
  override onOtherErrorRetry(): void {}
  override onReadTimeoutRetry(): void {}
  override onResponse(): void {}
  override onSuccessfulResponse(): void {}
  override onUnavailableRetry(): void {}
  override onWriteTimeoutRetry(): void {}
}

/** (D2) The driver takes null for "none"; its types do not say so. */
const noTimestamps = null as unknown as policies.timestampGeneration.TimestampGenerator;

export interface Connected {
  readonly driver: Client;
  readonly counters: RingCounters;
  readonly localDataCenter: string;
  readonly members: PreferredMembers;
}

/**
 * @param keyspace undefined for whoever is about to make it.
 * @param name of who asks: which member it prefers follows from it.
 * Rejects with STORE_UNREACHABLE, STORE_REFUSED or SCHEMA_MISSING.
 */
export async function connect(
  ring: RingAddress,
  keyspace: string | undefined,
  settings: StorageSettings,
  log: Logger,
  name = "",
): Promise<Connected> {
  const localDataCenter = ring.localDataCenter ?? (await findDataCenter(ring, settings, log));
  const counters = new RingCounters();
  const members = new PreferredMembers(name, settings.memberInFlightMin);
  const driver = new Client({
    ...common(ring, settings),
    localDataCenter,
    ...(keyspace === undefined ? {} : { keyspace }),
    metrics: counters,
    policies: {
      loadBalancing: members,
      retry: new policies.retry.FallthroughRetryPolicy(), // (D1)
      timestampGeneration: noTimestamps,
      reconnection: reconnection(),
      addressResolution: translator(ring.translate ?? new Map()),
      speculativeExecution: new BoundedSpeculation(settings, systemClock, counters),
    },
  });
  oneRefreshAtATime(
    (driver as unknown as { controlConnection: ControlConnection }).controlConnection,
    systemClock,
    log,
  );
  await open(driver, ring, log);
  watchMembers(driver, log);
  return { driver, counters, localDataCenter, members };
}

/** Members that stand behind something else tell addresses that lead nowhere from here. */
export function translator(addresses: ReadonlyMap<string, string>): policies.addressResolution.AddressTranslator {
  // A class to the driver, which looks at what it was made by; an interface to its types.
  const { AddressTranslator } = policies.addressResolution as unknown as { AddressTranslator: new () => object };
  return Object.assign(new AddressTranslator(), {
    translate(address: string, port: number, callback: (endpoint: string) => void) {
      const told = `${address}:${port}`;
      callback(addresses.get(told) ?? told);
    },
  });
}

const USUAL_PORT = 9042;

/**
 * (D4) Members tell where the others are, and not their ports: all of a ring listen on one, which is that of the addresses they
 * tell, or else that of the contact points.
 */
export function memberPort({ contactPoints, translate }: Pick<RingAddress, "contactPoints" | "translate">): number {
  const told = translate === undefined || translate.size === 0 ? contactPoints : [...translate.keys()];
  const ports = new Set(told.map((address) => Number(/(?:^[^:]*|\]):(\d+)$/.exec(address)?.[1] ?? USUAL_PORT)));
  const [port] = ports;
  if (port !== undefined && ports.size === 1) return port;
  throw storageErrors.STORE_UNREACHABLE({
    message: `Members of a ring listen on one port, and ${told.join(", ")} have several. Where members are reached by other addresses than they tell, say which (MADANG_CQL_TRANSLATE).`,
  });
}

/** A member that comes back is noticed within two seconds; the driver's own schedule grows to ten minutes. */
const reconnection = () => new policies.reconnection.ExponentialReconnectionPolicy(200, 2_000, false);

const common = (ring: RingAddress, settings: StorageSettings) => ({
  contactPoints: [...ring.contactPoints],
  ...(ring.credentials === undefined ? {} : { credentials: ring.credentials }),
  // By itself the driver takes any certificate.
  ...(ring.tls === undefined ? {} : { sslOptions: { rejectUnauthorized: true, ...ring.tls } }),
  monitorReporting: { enabled: false },
  protocolOptions: {
    port: memberPort(ring),
    maxSchemaAgreementWaitSeconds: 0, // whoever changes the schema waits by itself, once for many changes
  },
  encoding: { useBigIntAsLong: true },
  queryOptions: { consistency: types.consistencies.localQuorum, prepare: true },
  pooling: { heartBeatInterval: settings.connectWithinMs },
  socketOptions: {
    connectTimeout: settings.connectWithinMs,
    readTimeout: settings.requestWithinMs,
    // A paused member answers nothing and closes nothing: after so many time-outs its connection is given up.
    defunctReadTimeoutThreshold: 8,
  },
});

async function open(driver: Client, ring: RingAddress, log: Logger): Promise<void> {
  let opened = false; // before, whoever opens it is told what is wrong, once
  driver.on("log", (level: string, from: string, sentence: string) => {
    if (level === "error" && opened) log.warn({ from, sentence }, "the driver of the ring reports an error");
    else if (level === "warning" || level === "error") log.debug({ from, sentence }, "the driver of the ring warns");
  });
  try {
    await driver.connect();
    opened = true;
  } catch (error) {
    await driver.shutdown().catch(() => undefined); // it never got to its feet
    throw connectionError(ring, error);
  }
}

function watchMembers(driver: Client, log: Logger): void {
  const away = ({ address }: Host) => log.warn({ member: address }, "a member of the ring is not reached");
  for (const host of driver.hosts.values()) if (!host.isUp()) away(host);
  driver.on("hostDown", away);
  driver.on("hostUp", ({ address }: Host) => log.info({ member: address }, "a member of the ring is reached again"));
}

async function findDataCenter(ring: RingAddress, settings: StorageSettings, log: Logger): Promise<string> {
  const probe = new Client({
    ...common(ring, settings),
    isMetadataSyncEnabled: false,
    policies: { loadBalancing: new policies.loadBalancing.RoundRobinPolicy(), reconnection: reconnection() },
  });
  await open(probe, ring, log);
  const found = new Set(probe.hosts.values().map(({ datacenter }) => datacenter));
  await probe.shutdown();
  const [only] = found;
  if (only !== undefined && found.size === 1) return only;
  const names = [...found].toSorted().join(", ");
  throw storageErrors.STORE_UNREACHABLE({
    message: `The ring at ${ring.contactPoints.join(", ")} has several data centres (${names}); say which one is near.`,
  });
}

/** The ring does not know what is asked about, such as a keyspace or a table. */
export function isInvalid(error: unknown): boolean {
  return (error as { code?: unknown }).code === types.responseErrorCodes.invalid;
}

/** What Node says of certificates, and of what does not speak TLS. */
const untrusted = /certificate|SSL routines/i;
/** What a member that speaks TLS alone does to whom does not. */
const hungUp = /ECONNRESET|EPIPE|closed/;

function connectionError(ring: RingAddress, error: unknown): Error {
  const inner = Object.values((error as { innerErrors?: Record<string, Error> }).innerErrors ?? {});
  const causes = [error as Error, ...inner];
  const at = ring.contactPoints.join(", ");
  const reason = inner[0]?.message ?? (error as Error).message;
  if (causes.some(isInvalid)) return schemaMissing(ring.keyspace, error);
  if (causes.some((cause) => cause instanceof errors.AuthenticationError || untrusted.test(cause.message))) {
    return storageErrors.STORE_REFUSED({
      message: `The ring at ${at} does not let this node in: ${reason}`,
      cause: error,
    });
  }
  const asked = ring.tls === undefined && hungUp.test(reason) ? ". Does it want TLS?" : "";
  return storageErrors.STORE_UNREACHABLE({
    message: `The ring at ${at} could not be reached: ${reason}${asked}`,
    cause: error,
  });
}

/** The ring knows who asks, and does not permit it. */
export function isForbidden(error: unknown): boolean {
  return (error as { code?: unknown }).code === types.responseErrorCodes.unauthorized;
}

/** The same for an operator: it says whose permission is missing, and which. */
export function forbidden({ contactPoints }: RingAddress, error: unknown): Error {
  const message = `The ring at ${contactPoints.join(", ")} does not permit it: ${(error as Error).message}`;
  return storageErrors.STORE_REFUSED({ message, cause: error });
}

export function schemaMissing(keyspace: string, cause?: unknown): Error {
  const message = `The keyspace ${keyspace} has not got the tables of this version; run \`madang schema apply\`.`;
  return storageErrors.SCHEMA_MISSING({ message, cause });
}
