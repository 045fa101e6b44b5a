// One connection to NATS, with the options that a cluster needs: it reconnects for ever, notices a dead server soon, and drops
// what was not sent while it was away (whoever calls has been told, or its deadline will).

import { readFileSync } from "node:fs";
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { credsAuthenticator, connect as dial, PermissionViolationError } from "@nats-io/transport-node";
import { MadangError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { natsErrors } from "./errors.ts";
import { hostOf, identityCheck, isRefusal } from "./server.ts";

export interface NatsSettings {
  /** nats://host:port or tls://host:port, several with commas; user and password may stand in it. NATS_URL */
  readonly url: string;
  /** File with a user's JWT and seed. */
  readonly credentialsFile: string;
  /** File with the certificates that a TLS server is checked against; empty: those of the system. */
  readonly caFile: string;
  readonly connectWithinMs: number;
  readonly pingEveryMs: number;
  readonly pingsUnansweredMax: number;
  readonly reconnectPauseMs: number;
  readonly unflushedBytesMax: number;
}

export const natsDefaults: NatsSettings = {
  url: "",
  credentialsFile: "",
  caFile: "",
  connectWithinMs: 5_000, // of a start; later it tries for ever
  pingEveryMs: 1_000, // a server that has fallen silent is given up within four seconds: before anybody suspects its nodes
  pingsUnansweredMax: 3, // with the next one
  reconnectPauseMs: 200, // and as much again by chance, so that a thousand nodes do not come at once
  unflushedBytesMax: 33_554_432, // what may wait for a slow server before callers are told at once
};

export interface NatsConnectionOptions {
  readonly settings: NatsSettings;
  /** Shows in the server's lists. */
  readonly name: string;
  readonly log: Logger;
  /** A connection that does not hear itself. */
  readonly noEcho?: boolean;
}

export interface Nats {
  readonly connected: boolean;
  /** For what is built upon it, such as JetStream. Whoever uses it does not close it. */
  readonly connection: NatsConnection;
  /** Bytes of the largest message that the server takes. */
  readonly messageBytesMax: number;
  readonly reconnects: number;
  subscribe(subject: string, queue: string | undefined, take: (message: Msg) => void): Subscription;
  /** False if the connection is away or what waits for the server is too much: then nothing was sent. */
  publish(subject: string, bytes: Uint8Array, reply: string): boolean;
  /** Resolves when the server has everything that was sent before. */
  flush(): Promise<void>;
  /** The same, and the server permits all that was subscribed and published: rejects with NATS_REFUSED where it does not. */
  permitted(): Promise<void>;
  onConnected(listener: (connected: boolean) => void): void;
  /** Tells the server that nothing more is wanted, takes what is on its way, and closes. */
  close(): Promise<void>;
}

/** Below it, batches of the largest envelopes would come in too many pieces. */
const MESSAGE_BYTES_MIN = 65_536;

export async function connectNats(options: NatsConnectionOptions): Promise<Nats> {
  const { settings, name, log } = options;
  const addresses = settings.url.split(",").map((address) => address.trim());
  let connection: NatsConnection;
  try {
    connection = await dial({
      ...accessFrom(settings, addresses),
      name,
      noEcho: options.noEcho ?? false,
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
      reconnectTimeWait: settings.reconnectPauseMs,
      reconnectJitter: settings.reconnectPauseMs,
      reconnectJitterTLS: settings.reconnectPauseMs,
      pingInterval: settings.pingEveryMs,
      maxPingOut: settings.pingsUnansweredMax,
      timeout: settings.connectWithinMs,
      noAsyncTraces: true, // a stack a call costs more than the call
    });
  } catch (thrown) {
    throw toNatsError(thrown, settings);
  }
  const { info } = connection;
  if (info === undefined || info.headers !== true || info.max_payload < MESSAGE_BYTES_MIN) {
    await connection.close();
    const has = `headers ${info?.headers === true}, max_payload ${info?.max_payload ?? 0}`;
    throw natsErrors.NATS_UNFIT({
      message: `NATS at ${withoutSecrets(settings.url)} needs headers and a max_payload of ${MESSAGE_BYTES_MIN}; it has: ${has}.`,
    });
  }
  return new Connected(connection, settings, log);
}

function accessFrom({ credentialsFile, caFile }: NatsSettings, addresses: readonly string[]) {
  const first = URL.parse(addresses[0] ?? "");
  const user = first?.username ? { user: decodeURIComponent(first.username) } : {};
  const pass = first?.password ? { pass: decodeURIComponent(first.password) } : {};
  const authenticator =
    credentialsFile === "" ? {} : { authenticator: credsAuthenticator(readFileSync(credentialsFile)) };
  const secure = addresses.some((address) => address.startsWith("tls://"));
  // The client's types do not say so, but it hands all of them to Node.
  const trust = { checkServerIdentity: identityCheck(addresses), ...(caFile === "" ? {} : { caFile }) };
  const tls = secure || caFile !== "" ? { tls: trust } : {};
  return { servers: addresses.map(hostOf), ...user, ...pass, ...authenticator, ...tls };
}

/** For messages: addresses, never passwords. */
function withoutSecrets(url: string): string {
  return url.split(",").map(hostOf).join(", ");
}

function toNatsError(thrown: unknown, settings: NatsSettings): MadangError {
  if (thrown instanceof MadangError) return thrown;
  const error = thrown as Error;
  const where = withoutSecrets(settings.url);
  if (isRefusal(error))
    return natsErrors.NATS_REFUSED({ cause: thrown, message: `NATS at ${where}: ${error.message}` });
  return natsErrors.NATS_UNREACHABLE({ cause: thrown, message: `NATS at ${where} does not answer: ${error.message}` });
}

class Connected implements Nats {
  readonly connection: NatsConnection;
  readonly #settings: NatsSettings;
  readonly #log: Logger;
  readonly #listeners: ((connected: boolean) => void)[] = [];
  readonly messageBytesMax: number;
  reconnects = 0;
  #connected = true;
  #closing = false;
  /** Bytes handed over since the last flush that the server has answered. */
  #unflushed = 0;
  #flushing = false;
  /** Until it has been asked for: what the server did not permit is told by one error, and not by the log. */
  #asked = false;
  #forbidden: PermissionViolationError | undefined;

  constructor(connection: NatsConnection, settings: NatsSettings, log: Logger) {
    this.connection = connection;
    this.#settings = settings;
    this.#log = log;
    this.messageBytesMax = connection.info?.max_payload ?? MESSAGE_BYTES_MIN;
    void this.#watch();
  }

  get connected(): boolean {
    return this.#connected;
  }

  async #watch(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === "disconnect") this.#become(false);
      else if (status.type === "reconnect") {
        this.reconnects += 1;
        this.#become(true);
      } else if (status.type === "ldm")
        await this.connection.reconnect(); // the server is about to leave
      else if (status.type === "error" && !this.#keeps(status.error))
        this.#log.warn({ error: status.error }, "NATS reports an error");
    }
    if (!this.#closing) this.#log.error({}, "the connection to NATS has ended for good");
    this.#become(false);
  }

  #keeps(error: Error): boolean {
    const isKept = !this.#asked && error instanceof PermissionViolationError;
    if (isKept) this.#forbidden ??= error;
    return isKept;
  }

  #become(connected: boolean): void {
    if (this.#connected === connected) return;
    this.#connected = connected;
    this.#unflushed = 0;
    if (!this.#closing) this.#log.warn({ connected }, connected ? "NATS is back" : "NATS is away");
    for (const listener of this.#listeners) listener(connected);
  }

  subscribe(subject: string, queue: string | undefined, take: (message: Msg) => void): Subscription {
    return this.connection.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        if (!error) take(message);
        else if (!this.#keeps(error)) this.#log.warn({ subject, error }, "a subscription failed");
      },
    });
  }

  publish(subject: string, bytes: Uint8Array, reply: string): boolean {
    if (!this.#connected || this.#unflushed > this.#settings.unflushedBytesMax) return false;
    this.connection.publish(subject, bytes, { reply });
    this.#unflushed += bytes.byteLength;
    if (!this.#flushing && this.#unflushed > FLUSH_ABOVE_BYTES) this.#measure();
    return true;
  }

  /** Learns how much the server has taken, under load only. */
  #measure(): void {
    this.#flushing = true;
    const before = this.#unflushed;
    this.connection.flush().then(
      () => {
        this.#flushing = false;
        this.#unflushed = Math.max(0, this.#unflushed - before);
        if (this.#unflushed > FLUSH_ABOVE_BYTES && this.#connected) this.#measure();
      },
      () => {
        this.#flushing = false; // the connection broke; what waited is gone with it
      },
    );
  }

  flush(): Promise<void> {
    return this.connection.flush();
  }

  async permitted(): Promise<void> {
    await this.connection.flush();
    // The server refuses before it answers the ping, and the client tells of it in a turn of its own.
    await this.connection.flush();
    this.#asked = true;
    if (this.#forbidden === undefined) return;
    throw natsErrors.NATS_REFUSED({
      message: `NATS at ${withoutSecrets(this.#settings.url)} does not permit what a node does: ${this.#forbidden.message}`,
      cause: this.#forbidden,
    });
  }

  onConnected(listener: (connected: boolean) => void): void {
    this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#connected) await this.connection.drain().catch(() => this.connection.close());
    else await this.connection.close();
  }
}

const FLUSH_ABOVE_BYTES = 262_144;
