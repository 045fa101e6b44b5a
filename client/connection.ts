// One WebSocket with its session: hello, heart-beats, requests and their answers. Knows nothing of channels.
//
// (N1) `lost` is told once; after it, only the requests that still waited hear that their answer is lost.
// (N2) Every request gets an answer, an error, or CONNECTION_LOST.
// (N3) A frame that the server would not take is not sent: it would end the connection, and the next one again.

import {
  ClientFrame,
  ErrorCode,
  type ErrorReply,
  Executed,
  type GoAway,
  ServerFrame,
  type Welcome,
} from "../proto/client.ts";
import { clientError, fromReply } from "./errors.ts";
import type { Clock, Socket, Timer, WebSocketFactory } from "./ports.ts";
import type { ClientSettings } from "./settings.ts";

type Request = Omit<ClientFrame, "request" | "body">;
export type Answer = Omit<ServerFrame, "request">;

export interface ConnectionEvents {
  welcome(welcome: Welcome): void;
  /** Everything that answers no request of `ask`. */
  frame(frame: Answer): void;
  /** The connection is over. `goAway` if the server said so; `error` is what it said before. */
  lost(reason: string, goAway: GoAway | undefined, error: ErrorReply | undefined): void;
}

export interface ConnectionOptions {
  readonly url: string;
  readonly ticket: string;
  readonly cursor: number;
  readonly client: string;
  readonly webSocket: WebSocketFactory;
  readonly clock: Clock;
  readonly settings: ClientSettings;
  readonly active: () => boolean;
}

interface Pending {
  readonly answered: (answer: Answer) => void;
  readonly sentMs: number;
}

const HELLO_REQUEST = 1;
const REQUEST_MAX = 2 ** 32 - 1;

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  readonly #socket: Socket;
  #phase: "opening" | "open" | "over" = "opening";
  #lastRequest = HELLO_REQUEST;
  readonly #pending = new Map<number, Pending>();
  #goAway: GoAway | undefined;
  #error: ErrorReply | undefined;
  #lastFrameMs: number;
  /** As the welcome says. */
  #frameBytesMax = Number.POSITIVE_INFINITY;
  readonly #timers = new Map<string, Timer>();

  constructor(options: ConnectionOptions, events: ConnectionEvents) {
    this.#options = options;
    this.#events = events;
    this.#lastFrameMs = options.clock.monotonicMs();
    this.#after("connect", options.settings.connectWithinMs, () => {
      if (this.#phase === "opening") this.end("no welcome came in time");
    });
    const { ticket, cursor, client } = options;
    this.#socket = options.webSocket(options.url, {
      opened: () => this.#write({ request: HELLO_REQUEST, hello: { ticket, cursor, client } }),
      message: (bytes) => this.#message(bytes),
      closed: (reason) => this.#over(reason),
    });
  }

  get open(): boolean {
    return this.#phase === "open";
  }
  get requestsInFlight(): number {
    return this.#pending.size;
  }

  /** A frame that needs no answer. */
  tell(body: Request): void {
    if (this.#phase === "open") this.#write({ request: 0, ...body });
  }

  /** Calls back with the answer, once; with `lostReply` when the connection is lost before it came. */
  ask(body: Request, answered: (answer: Answer) => void): void {
    if (this.#phase !== "open") return answered({ error: lostReply });
    let request = this.#lastRequest;
    do request = request >= REQUEST_MAX ? HELLO_REQUEST + 1 : request + 1;
    while (this.#pending.has(request));
    this.#lastRequest = request;
    const bytes = ClientFrame.encode({ request, ...body }).finish();
    if (bytes.length > this.#frameBytesMax) return answered({ error: tooLargeReply }); // (N3)
    this.#pending.set(request, { answered, sentMs: this.#options.clock.monotonicMs() });
    this.#socket.send(bytes);
  }

  /** As `ask`; rejects with what the server says, or with CONNECTION_LOST. */
  request(body: Request): Promise<Answer> {
    if (this.#phase !== "open") return Promise.reject(clientError("NOT_CONNECTED"));
    if (this.#pending.size >= this.#options.settings.requestsInFlightMax) {
      return Promise.reject(clientError("NOT_CONNECTED", { message: "Too many requests wait for their answers." }));
    }
    return new Promise((resolve, reject) => {
      this.ask(body, (answer) => {
        if (answer.error) reject(answer.error === lostReply ? clientError("CONNECTION_LOST") : fromReply(answer.error));
        else resolve(answer);
      });
    });
  }

  end(reason: string): void {
    if (this.#phase === "over") return;
    this.#socket.close();
    this.#over(reason);
  }

  #write(frame: ClientFrame): void {
    this.#socket.send(ClientFrame.encode(frame).finish());
  }

  #message(bytes: Uint8Array): void {
    if (this.#phase === "over") return;
    this.#lastFrameMs = this.#options.clock.monotonicMs();
    let frame: ServerFrame;
    try {
      frame = ServerFrame.decode(bytes);
    } catch (error) {
      return this.end(`a frame of the server could not be read: ${String(error)}`);
    }
    if (frame.goAway) {
      this.#goAway = frame.goAway;
      return this.end("the server says go away");
    }
    if (frame.welcome) return this.#welcomed(frame.welcome);
    const pending = this.#pending.get(frame.request);
    if (pending !== undefined && !frame.pointer) {
      this.#pending.delete(frame.request);
      return pending.answered(frame);
    }
    if (frame.error) this.#error = frame.error;
    this.#events.frame(frame);
  }

  #welcomed(welcome: Welcome): void {
    if (this.#phase !== "opening") return;
    this.#phase = "open";
    this.#error = undefined;
    this.#frameBytesMax = welcome.frameBytesMax || Number.POSITIVE_INFINITY;
    this.#beat(welcome.heartbeatMs);
    this.#watch(welcome.heartbeatMs * this.#options.settings.beatsMissedMax);
    this.#events.welcome(welcome);
  }

  #beat(everyMs: number): void {
    this.#after("beat", everyMs, () => {
      this.tell({ heartbeat: { active: this.#options.active() } });
      this.#beat(everyMs);
    });
  }

  /** A server that says nothing, or leaves a request without its answer, is not there. */
  #watch(quietMs: number): void {
    const { clock, settings } = this.#options;
    const check = () => {
      const nowMs = clock.monotonicMs();
      const [oldest] = this.#pending.values();
      const answerDueMs = oldest === undefined ? Infinity : oldest.sentMs + settings.answerWithinMs;
      const frameDueMs = this.#lastFrameMs + quietMs;
      const dueMs = Math.min(answerDueMs, frameDueMs);
      if (nowMs >= dueMs) return this.end(frameDueMs <= nowMs ? "the server is silent" : "an answer did not come");
      this.#after("watch", Math.min(dueMs - nowMs, quietMs), check);
    };
    this.#after("watch", quietMs, check);
  }

  #after(name: string, delayMs: number, task: () => void): void {
    this.#timers.get(name)?.cancel();
    this.#timers.set(name, this.#options.clock.after(delayMs, task));
  }

  /** (N1), (N2) */
  #over(reason: string): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    for (const timer of this.#timers.values()) timer.cancel();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#events.lost(reason, this.#goAway, this.#error);
    for (const { answered } of pending) answered({ error: lostReply });
  }
}

/** What the server would say before it closes. */
const tooLargeReply: ErrorReply = {
  code: ErrorCode.FRAME_TOO_LARGE,
  message: "The message is larger than the server takes.",
  retryable: false,
  executed: Executed.NO,
  retryAfterMs: 0,
  expectedNumber: 0,
};

/** Stands for the answer that a lost connection did not bring. */
export const lostReply: ErrorReply = {
  code: 0,
  message: "",
  retryable: true,
  executed: 1,
  retryAfterMs: 0,
  expectedNumber: 0,
};
