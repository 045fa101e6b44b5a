// The HTTP API: requests with the access token, which is renewed by one refresh at a time.

import { ClientError, clientError, type Effect } from "./errors.ts";
import type { Clock, Fetch } from "./ports.ts";
import type { LogInRecord } from "./records.ts";

export interface HttpOptions {
  /** Without a slash at its end. */
  readonly url: string;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly withinMs: number;
  readonly tokenMarginMs: number;
  /** New tokens: resolves when they are kept, for the old refresh token is used up. */
  readonly onTokens: (login: LogInRecord) => Promise<void>;
  /** The server ended the log-in. */
  readonly onLoggedOut: () => void;
}

export interface HttpRequest {
  readonly body?: unknown;
  /** Makes a creation repeatable. */
  readonly idempotencyKey?: string;
}

interface SessionReply {
  readonly userId: number;
  readonly deviceId: number;
  readonly accessToken: string;
  readonly accessExpiresInS: number;
  readonly refreshToken: string;
}

const UNAUTHORIZED = 401;

export class Http {
  readonly #options: HttpOptions;
  #login: LogInRecord | undefined;
  #refreshing: Promise<LogInRecord> | undefined;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  get login(): LogInRecord | undefined {
    return this.#login;
  }

  setLogin(login: LogInRecord | undefined): void {
    this.#login = login;
  }

  /** A request that needs no log-in. */
  open<Reply>(method: string, path: string, request: HttpRequest = {}): Promise<Reply> {
    return this.#exchange<Reply>(method, path, request, undefined);
  }

  /** A request of whoever is logged in. Rejects with NOT_LOGGED_IN, NETWORK, or what the server says. */
  async call<Reply>(method: string, path: string, request: HttpRequest = {}): Promise<Reply> {
    const { accessToken } = await this.#fresh();
    try {
      return await this.#exchange<Reply>(method, path, request, accessToken);
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== "UNAUTHENTICATED") throw error;
      // Refused before anything was done: once more, with a new token.
      const renewed = await this.#refresh(accessToken);
      return this.#exchange<Reply>(method, path, request, renewed.accessToken);
    }
  }

  async logIn(name: string, password: string, device: { deviceId?: number; name: string }): Promise<LogInRecord> {
    const reply = await this.open<SessionReply>("POST", "/v1/sessions", { body: { name, password, device } });
    return this.#record(name, reply);
  }

  #record(name: string, reply: SessionReply): LogInRecord {
    const { userId, deviceId, accessToken, accessExpiresInS, refreshToken } = reply;
    const accessExpiresMs = this.#options.clock.wallMs() + accessExpiresInS * 1_000;
    return { userId, deviceId, name, accessToken, accessExpiresMs, refreshToken };
  }

  async #fresh(): Promise<LogInRecord> {
    const login = this.#login;
    if (login === undefined) throw clientError("NOT_LOGGED_IN");
    const { clock, tokenMarginMs } = this.#options;
    return clock.wallMs() + tokenMarginMs < login.accessExpiresMs ? login : this.#refresh(login.accessToken);
  }

  /** One at a time: the refresh token is used up by it, and a second use would end the log-in. */
  #refresh(staleToken: string): Promise<LogInRecord> {
    if (this.#login === undefined) return Promise.reject(clientError("NOT_LOGGED_IN"));
    if (this.#refreshing === undefined && this.#login.accessToken !== staleToken) return Promise.resolve(this.#login);
    this.#refreshing ??= this.#renew(this.#login).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #renew({ name, refreshToken }: LogInRecord): Promise<LogInRecord> {
    try {
      const reply = await this.open<SessionReply>("POST", "/v1/sessions/refresh", { body: { refreshToken } });
      const login = this.#record(name, reply);
      this.#login = login;
      await this.#options.onTokens(login);
      return login;
    } catch (error) {
      if (error instanceof ClientError && error.code === "UNAUTHENTICATED") {
        this.#login = undefined;
        this.#options.onLoggedOut();
      }
      throw error;
    }
  }

  async #exchange<Reply>(method: string, path: string, request: HttpRequest, token: string | undefined) {
    const headers: Record<string, string> = {};
    if (request.body !== undefined) headers["content-type"] = "application/json";
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    if (request.idempotencyKey !== undefined) headers["idempotency-key"] = request.idempotencyKey;
    const abort = new AbortController();
    const timer = this.#options.clock.after(this.#options.withinMs, () => abort.abort());
    const init = { method, headers, signal: abort.signal };
    const body = request.body === undefined ? {} : { body: JSON.stringify(request.body) };
    try {
      const reply = await this.#options.fetch(this.#options.url + path, { ...init, ...body });
      return parse<Reply>(reply.status, await reply.text());
    } catch (error) {
      throw error instanceof ClientError ? error : clientError("NETWORK", { cause: error });
    } finally {
      timer.cancel();
    }
  }
}

function parse<Reply>(status: number, text: string): Reply {
  const ok = status >= 200 && status < 300;
  let value: unknown;
  try {
    value = text === "" ? undefined : JSON.parse(text);
  } catch (cause) {
    throw clientError("BAD_REPLY", { cause, message: `The server answered ${status} without JSON.` });
  }
  if (ok) return value as Reply;
  throw refusal(status, value);
}

interface ErrorBody {
  readonly code?: string;
  readonly message?: string;
  readonly retryable?: boolean;
  readonly executed?: Effect;
  readonly retryAfterMs?: number;
}

/** A 401 is UNAUTHENTICATED, whatever stands between here and the server put into its body. */
function refusal(status: number, value: unknown): ClientError {
  const body = (value as { readonly error?: ErrorBody } | undefined)?.error ?? {};
  const code = body.code ?? (status === UNAUTHORIZED ? "UNAUTHENTICATED" : status >= 500 ? "UNAVAILABLE" : "BAD_REPLY");
  return new ClientError(code, {
    retryable: body.retryable ?? status >= 500,
    executed: body.executed ?? (status >= 500 ? "maybe" : "no"),
    message: body.message ?? `The server answered ${status}.`,
    ...(body.retryAfterMs === undefined ? {} : { retryAfterMs: body.retryAfterMs }),
  });
}
