// Keeps one connection up: ticket, hello, and when it is lost, the next one after a pause with jitter.

import { ErrorCode, type ErrorReply, type GoAway, GoAwayReason, type Welcome } from "../proto/client.ts";
import { backoffMs } from "./backoff.ts";
import { type Answer, Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { ClientError, fromReply } from "./errors.ts";
import type { Http } from "./http.ts";
import type { Timer, WebSocketFactory } from "./ports.ts";
import type { ClientState } from "./types.ts";

export interface LinkEvents {
  welcome(welcome: Welcome): void;
  frame(frame: Answer): void;
  lost(): void;
  /** The server ended the log-in. */
  loggedOut(): void;
}

export interface LinkOptions {
  readonly core: Core;
  readonly http: Http;
  readonly webSocket: WebSocketFactory;
  /** Name and version of the application, for the server's logs. */
  readonly client: string;
  readonly active: () => boolean;
}

interface TicketReply {
  readonly ticket: string;
  readonly url: string;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  #state: ClientState = { phase: "loggedOut", reason: "new" };
  /** Names the attempt that counts: what an older one brings is ignored. */
  #generation = 0;
  #connection: Connection | undefined;
  #attempt = 0;
  #retry: Timer | undefined;
  /** The server asked to come to this address next. */
  #redirect = "";
  /** Addresses at which a connection broke or did not come to be, and until when they are avoided. */
  readonly #avoided = new Map<string, number>();

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
  }

  get state(): ClientState {
    return this.#state;
  }

  setState(state: ClientState): void {
    this.#state = state;
    this.#options.core.events.emit("state", state);
  }

  /** Starts to connect, now; does nothing when there is a connection or one on its way. */
  connect(): void {
    const { phase } = this.#state;
    if (phase === "connecting" || phase === "syncing" || phase === "online" || phase === "closed") return;
    void this.#dial();
  }

  /** Ends what there is; nothing is tried until `connect`. */
  stop(state: ClientState): void {
    this.#generation += 1;
    this.#retry?.cancel();
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.end(state.phase);
    this.#lost();
    this.setState(state);
  }

  /** The first CaughtUp has come. */
  caughtUp(): void {
    if (this.#state.phase !== "syncing") return;
    this.#attempt = 0;
    this.setState({ phase: "online", sessionId: this.#state.sessionId });
  }

  async #dial(): Promise<void> {
    const { core, http, webSocket, client, active } = this.#options;
    const generation = ++this.#generation;
    this.#retry?.cancel();
    this.setState({ phase: "connecting", attempt: this.#attempt });
    let reply: TicketReply;
    try {
      reply = await http.call<TicketReply>("POST", `/v1/tickets${this.#wish()}`);
    } catch (error) {
      if (generation !== this.#generation) return;
      const retryAfterMs = error instanceof ClientError ? error.retryAfterMs : 0;
      return this.#again(error instanceof Error ? error.message : String(error), retryAfterMs);
    }
    if (generation !== this.#generation) return;
    const url = this.#redirect === "" ? reply.url : this.#redirect;
    this.#redirect = "";
    const { clock, settings, cursor } = core;
    const options = { url, ticket: reply.ticket, cursor: cursor.value, client, webSocket, clock, settings, active };
    const connection = new Connection(options, {
      welcome: (welcome) => {
        if (generation !== this.#generation) return;
        core.connection = connection;
        this.setState({ phase: "syncing", sessionId: welcome.sessionId });
        this.#events.welcome(welcome);
      },
      frame: (frame) => {
        if (generation === this.#generation) this.#events.frame(frame);
      },
      lost: (reason, goAway, error) => {
        if (generation === this.#generation) this.#over(url, reason, goAway, error);
      },
    });
    this.#connection = connection;
  }

  #over(url: string, reason: string, goAway: GoAway | undefined, error: ErrorReply | undefined): void {
    this.#generation += 1;
    this.#connection = undefined;
    this.#lost();
    if (goAway?.reason === GoAwayReason.SESSION_ENDED || error?.code === ErrorCode.UNAUTHENTICATED) {
      return this.#events.loggedOut();
    }
    if (goAway?.reason === GoAwayReason.REPLACED) return this.setState({ phase: "replaced" });
    if (error)
      this.#options.core.events.emit("problem", { what: "the server closed the connection", error: fromReply(error) });
    this.#avoid(url);
    if (goAway?.reason !== GoAwayReason.SHUTDOWN)
      return this.#again(error?.message ?? reason, error?.retryAfterMs ?? 0);
    const { random } = this.#options.core;
    this.#redirect = goAway.to;
    this.#wait("the server is stopping", Math.floor(random.next() * goAway.reconnectWithinMs));
  }

  #avoid(url: string): void {
    const { clock, settings } = this.#options.core;
    this.#avoided.delete(url); // the latest stands last
    this.#avoided.set(url, clock.monotonicMs() + settings.avoidMs);
    const [oldest] = this.#avoided.keys();
    if (this.#avoided.size > settings.avoidedMax && oldest !== undefined) this.#avoided.delete(oldest);
  }

  /** Where the next connection should not go, and where it should, as a query. */
  #wish(): string {
    const { clock, settings } = this.#options.core;
    const nowMs = clock.monotonicMs();
    for (const [url, untilMs] of this.#avoided) if (untilMs <= nowMs) this.#avoided.delete(url);
    const wish = [...this.#avoided.keys()].map((url) => ["avoid", url]);
    if (settings.region !== "") wish.push(["region", settings.region]);
    return wish.length === 0 ? "" : `?${new URLSearchParams(wish)}`;
  }

  #lost(): void {
    const { core } = this.#options;
    if (core.connection === undefined) return;
    core.connection = undefined;
    core.caughtUp = false;
    this.#events.lost();
  }

  #again(reason: string, atLeastMs: number): void {
    if (this.#state.phase === "loggedOut") return; // found out on the way
    const { random, settings } = this.#options.core;
    this.#wait(reason, atLeastMs + backoffMs(this.#attempt, random, settings));
    this.#attempt += 1;
  }

  #wait(reason: string, retryInMs: number): void {
    this.setState({ phase: "offline", reason, retryInMs });
    this.#retry = this.#options.core.clock.after(retryInMs, () => void this.#dial());
  }
}
