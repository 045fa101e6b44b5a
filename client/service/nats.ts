// The connection of a service on NATS: one subject that it sends to, and an inbox of its own.
//
//   madang.<cluster>.route.<name>                     to any node
//   madang.<cluster>.service.<name>.<incarnation>.>   the inbox: <lane>, where nodes answer and tell; nack.<n>, where the server
//                                                     says that no node took what was sent under the number n

import { readFileSync } from "node:fs";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import {
  credsAuthenticator,
  connect as dial,
  nkeyAuthenticator,
  PermissionViolationError,
} from "@nats-io/transport-node";
import { Batch } from "../../proto/index.ts";
import { hostOf, identityCheck, isRefusal } from "../../runtime/nats/server.ts";
import { PROTOCOL } from "./calls.ts";
import { ServiceError, serviceError } from "./errors.ts";
import type { Connect, Connection, ConnectionEvents } from "./port.ts";
import type { ServiceSettings } from "./settings.ts";

/** Who the service is for NATS. What is bound to its name in the server's permissions is what it may do. */
export interface NatsAccess {
  /** nats://host:port or tls://host:port, several with commas. User and password may stand in it, but look better beside it. */
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  /** SU…: the seed of a user whose public key the server knows. */
  readonly nkeySeed?: string;
  /** File with a user's JWT and seed. */
  readonly credentialsFile?: string;
  /** File with the certificates that a TLS server is checked against; without it those of the system. */
  readonly caFile?: string;
}

/** Subject tokens of what a node sends: the lane in our inbox, and the node in the reply subject. */
const LANE_AT = 5;
const NACK_AT = 6;
const NODE_AT = 3;

export function connectByNats(access: NatsAccess, settings: ServiceSettings): Connect {
  return async ({ cluster, name, incarnation }) => {
    const inbox = `madang.${cluster}.service.${name}.${incarnation}`;
    const addresses = access.url.split(",").map((address) => address.trim());
    const connection = await open(access, addresses, name, settings);
    const opened = new OnNats(connection, `madang.${cluster}.route.${name}`, inbox);
    try {
      await opened.prove();
    } catch (thrown) {
      await connection.close();
      throw toServiceError(thrown, addresses);
    }
    return opened;
  };
}

async function open(
  access: NatsAccess,
  addresses: readonly string[],
  name: string,
  settings: ServiceSettings,
): Promise<NatsConnection> {
  try {
    return await dial({
      ...credentialsOf(access, addresses),
      servers: addresses.map(hostOf),
      name: `service ${name}`,
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
    throw toServiceError(thrown, addresses);
  }
}

function credentialsOf(access: NatsAccess, addresses: readonly string[]) {
  const { nkeySeed, credentialsFile, caFile } = access;
  const url = URL.parse(addresses[0] ?? "");
  const user = access.user ?? decodeURIComponent(url?.username ?? "");
  const pass = access.password ?? decodeURIComponent(url?.password ?? "");
  const secure = caFile !== undefined || addresses.some((address) => address.startsWith("tls://"));
  const authenticator =
    credentialsFile !== undefined
      ? credsAuthenticator(readFileSync(credentialsFile))
      : nkeySeed !== undefined
        ? nkeyAuthenticator(new TextEncoder().encode(nkeySeed))
        : undefined;
  return {
    ...(user === "" ? {} : { user, pass }),
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(secure ? { tls: { checkServerIdentity: identityCheck(addresses), ...(caFile && { caFile }) } } : {}),
  };
}

function toServiceError(thrown: unknown, addresses: readonly string[]): ServiceError {
  if (thrown instanceof ServiceError) return thrown;
  const { message } = thrown as Error;
  const where = addresses.map(hostOf).join(", ");
  const refused = isRefusal(thrown as Error);
  return serviceError(refused ? "NATS_REFUSED" : "NATS_UNREACHABLE", {
    message: refused ? `NATS at ${where}: ${message}` : `NATS at ${where} does not answer: ${message}`,
    cause: thrown,
  });
}

class OnNats implements Connection {
  readonly messageBytesMax: number;
  connected = true;
  readonly #connection: NatsConnection;
  readonly #route: string;
  readonly #inbox: string;
  #events: ConnectionEvents | undefined;
  /** While the connection proves itself: what the server did not permit. */
  #forbidden: PermissionViolationError | undefined;

  constructor(connection: NatsConnection, route: string, inbox: string) {
    this.#connection = connection;
    this.#route = route;
    this.#inbox = inbox;
    this.messageBytesMax = connection.info?.max_payload ?? 0;
    void this.#watch();
    connection.subscribe(`${inbox}.>`, {
      callback: (error, message) => {
        if (error) this.#problem(error);
        else this.#take(message);
      },
    });
  }

  open(events: ConnectionEvents): void {
    this.#events = events;
  }

  /** Fails now, with the subject in the message, when the server does not permit what the service needs. */
  async prove(): Promise<void> {
    const empty = {
      protocol: PROTOCOL,
      link: 0,
      envelopes: [],
      piece: new Uint8Array(0),
      piecesBefore: 0,
      piecesLeft: 0,
    };
    this.send(Batch.encode(empty).finish(), 0);
    await this.#connection.flush();
    // The server refuses before it answers the ping, and the client tells of it in a turn of its own.
    await this.#connection.flush();
    if (this.#forbidden !== undefined) throw this.#forbidden;
  }

  send(bytes: Uint8Array, number: number): boolean {
    if (!this.connected) return false;
    this.#connection.publish(this.#route, bytes, { reply: `${this.#inbox}.nack.${number}` });
    return true;
  }

  #take({ subject, reply, data }: Msg): void {
    const tokens = subject.split(".");
    const lane = tokens[LANE_AT] ?? "";
    if (lane === "nack") this.#events?.onNotDelivered(Number(tokens[NACK_AT]));
    else this.#events?.onBatch(reply?.split(".")[NODE_AT] ?? "", lane, data);
  }

  async #watch(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === "disconnect") this.#become(false);
      else if (status.type === "reconnect") this.#become(true);
      else if (status.type === "ldm")
        await this.#connection.reconnect(); // the server is about to leave
      else if (status.type === "error") this.#problem(status.error);
    }
    this.#become(false);
  }

  #problem(error: unknown): void {
    if (error instanceof PermissionViolationError) this.#forbidden = error;
    this.#events?.onProblem(error);
  }

  #become(connected: boolean): void {
    if (this.connected === connected) return;
    this.connected = connected;
    this.#events?.onConnected(connected);
  }

  async close(): Promise<void> {
    if (this.#connection.isClosed()) return;
    if (this.connected) await this.#connection.drain().catch(() => this.#connection.close());
    else await this.#connection.close();
  }
}
