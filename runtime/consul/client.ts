// Consul's HTTP API, as far as the placement store needs it. Connections are kept and few: one for each of two blocking
// queries, and some for the rest.

import { Agent, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps, Agent as TlsAgent } from "node:https";
import { clusterErrors } from "../placement/errors.ts";

export interface ConsulOptions {
  /** `http://127.0.0.1:8500`, or https. */
  readonly address: string;
  /** CONSUL_HTTP_TOKEN; empty: none. */
  readonly token?: string;
  /** PEM of the authority that has signed Consul's certificate; empty: those that Node knows. */
  readonly ca?: string;
  /** Of every call but a blocking query. */
  readonly timeoutMs?: number;
}

export interface ConsulAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  /** For the next blocking query; 0 if there was none. */
  readonly index: number;
  /** The wall clock of the server, by the second; NaN if it did not say. */
  readonly dateMs: number;
}

export interface ConsulRequest {
  readonly method?: "GET" | "PUT" | "DELETE";
  readonly body?: Uint8Array | string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Statuses that are answers like any other; 200 always is. */
  readonly accept?: readonly number[];
}

/** A local agent answers in milliseconds; a new leader is elected within a few seconds, and calls are tried again. */
const TIMEOUT_MS = 3_000;
/** Two blocking queries, and what else a node does at once. */
const SOCKETS_MAX = 8;
const STATUS_TOO_MANY = 429;
/** The largest that is asked for, all members, is a few hundred KB in a cluster of a thousand nodes. */
const ANSWER_BYTES_MAX = 4_194_304;

/** What Node says of certificates, and of what does not speak TLS. */
const untrusted = /certificate|SSL routines/i;

export class ConsulClient {
  readonly #options: ConsulOptions;
  readonly #address: URL;
  readonly #agent: Agent;
  #closed = false;
  failures = 0;

  constructor(options: ConsulOptions) {
    this.#options = options;
    this.#address = new URL(options.address.includes("://") ? options.address : `http://${options.address}`);
    const kept = { keepAlive: true, maxSockets: SOCKETS_MAX };
    const secure = this.#address.protocol === "https:";
    this.#agent = secure ? new TlsAgent({ ...kept, ...(options.ca ? { ca: options.ca } : {}) }) : new Agent(kept);
  }

  close(): void {
    this.#closed = true;
    this.#agent.destroy();
  }

  /** Rejects with CONSUL_UNREACHABLE, CONSUL_FORBIDDEN or CONSUL_GARBAGE, and the address in the message. */
  async call(path: string, options: ConsulRequest = {}): Promise<ConsulAnswer> {
    try {
      if (this.#closed) throw new Error("the client was closed");
      return this.#check(await this.#send(path, options), options.accept ?? []);
    } catch (error) {
      this.failures += 1;
      if (error instanceof Error && "code" in error && String(error.code).startsWith("CONSUL_")) throw error;
      const why = error instanceof Error && error.message !== "" ? error.message : String(error);
      if (untrusted.test(why)) {
        throw clusterErrors.CONSUL_GARBAGE({
          message: `what answers at ${this.#where} does not prove that it is Consul: ${why}`,
          cause: error,
        });
      }
      throw clusterErrors.CONSUL_UNREACHABLE({
        message: `no answer from Consul at ${this.#where}: ${why}`,
        cause: error,
      });
    }
  }

  get #where(): string {
    return this.#address.origin;
  }

  #check(answer: ConsulAnswer, accept: readonly number[]): ConsulAnswer {
    const { status, body } = answer;
    if (status === 200 || accept.includes(status)) return answer;
    const said = new TextDecoder().decode(body.subarray(0, 200)).trim();
    if (status === 403 || status === 401) {
      const token = this.#options.token ? "the token" : "a call without a token";
      throw clusterErrors.CONSUL_FORBIDDEN({ message: `Consul at ${this.#where} refuses ${token}: ${said}` });
    }
    if (status >= 500 || status === STATUS_TOO_MANY) throw this.unready(status, said);
    throw clusterErrors.CONSUL_GARBAGE({ message: `${this.#where} answers ${status}, not as Consul does: ${said}` });
  }

  /** It answers, and cannot help now: no leader, or too much to do. */
  unready(status: number, said: string): Error {
    return clusterErrors.CONSUL_UNREACHABLE({ message: `Consul at ${this.#where} answers ${status}: ${said}` });
  }

  garbage(path: string, cause: unknown): Error {
    const message = `${this.#where} does not answer as Consul does to ${path}`;
    return clusterErrors.CONSUL_GARBAGE({ message, cause });
  }

  #send(path: string, { method = "GET", body, timeoutMs, signal }: ConsulRequest): Promise<ConsulAnswer> {
    const secure = this.#address.protocol === "https:";
    const prefix = this.#address.pathname.replace(/\/$/, "");
    return new Promise((resolve, reject) => {
      const outgoing = (secure ? requestHttps : requestHttp)(
        {
          agent: this.#agent,
          host: this.#address.hostname.replace(/^\[|\]$/g, ""),
          port: this.#address.port || (secure ? 443 : 80),
          method,
          path: prefix + path,
          headers: this.#options.token ? { "X-Consul-Token": this.#options.token } : {},
          ...(signal ? { signal } : {}),
        },
        (incoming) => void this.#receive(incoming).then(resolve, reject),
      );
      const limitMs = timeoutMs ?? this.#options.timeoutMs ?? TIMEOUT_MS;
      outgoing.setTimeout(limitMs, () => outgoing.destroy(new Error(`nothing came for ${limitMs} ms`)));
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }

  async #receive(incoming: IncomingMessage): Promise<ConsulAnswer> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of incoming as AsyncIterable<Uint8Array>) {
      bytes += part.length;
      if (bytes > ANSWER_BYTES_MAX) {
        incoming.destroy();
        throw this.garbage(incoming.url ?? "", new Error("the answer is too large"));
      }
      parts.push(part);
    }
    return {
      status: incoming.statusCode ?? 0,
      body: new Uint8Array(Buffer.concat(parts)),
      index: Number(incoming.headers["x-consul-index"] ?? 0) || 0,
      dateMs: Date.parse(incoming.headers.date ?? ""),
    };
  }
}
