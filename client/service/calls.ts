// The calls of a service that wait for their answers.
//
// (C1) Every call ends within its deadline.
// (C2) Sent again by itself is what is known not to have run; and what may run twice (it changes nothing, or its number makes
//      it count once) also when nobody knows.
// (C3) A refusal says "no" only if no earlier attempt may have run.

import { Batch, type MethodDescriptor, type Reply } from "../../proto/index.ts";
import { backoffMs } from "../backoff.ts";
import type { Clock, Random, Timer } from "../ports.ts";
import { fromFailure, type ServiceError, serviceError, withExecuted } from "./errors.ts";
import type { Connection } from "./port.ts";
import type { ServiceSettings } from "./settings.ts";

export interface CallOptions {
  /** How long the caller waits, all attempts included; default `callDeadlineMs` of the settings. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** W3C Trace Context of whoever asks. */
  readonly traceparent?: string;
  /** May run twice without harm. Methods that change nothing may anyway. */
  readonly repeatable?: boolean;
}

export interface CallsOptions {
  /** Under which the service receives. */
  readonly id: string;
  readonly connection: Pick<Connection, "send" | "messageBytesMax">;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: ServiceSettings;
}

interface Call {
  readonly service: string;
  readonly actorId: string;
  readonly method: MethodDescriptor;
  readonly payload: Uint8Array;
  readonly deadlineAtMs: number;
  readonly traceparent: string;
  readonly repeatable: boolean;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: ServiceError) => void;
  /** Attempts that were sent and that nobody has answered. */
  readonly open: Set<number>;
  attempts: number;
  /** An attempt ended without anybody knowing whether it ran. */
  mayHaveRun: boolean;
  lastError: ServiceError | undefined;
  next: Timer | undefined;
  deadline: Timer | undefined;
  release: () => void;
}

/** Raised when the meaning of a field changes; nodes read this and the one before. */
export const PROTOCOL = 1;
/** Failures that say: not here, not now. Others are for the caller, also those that a later attempt might get over. */
const elsewhere: ReadonlySet<string> = new Set(["MOVED", "UNAVAILABLE", "SHUTTING_DOWN"]);
/** What stands around a payload. */
const ENVELOPE_BYTES = 1_024;

export class Calls {
  readonly #options: CallsOptions;
  readonly #all = new Set<Call>();
  readonly #byNumber = new Map<number, Call>();
  #lastNumber = 0;
  #closed = false;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#all.size;
  }

  call(
    service: string,
    actorId: string,
    method: MethodDescriptor,
    request: unknown,
    options: CallOptions = {},
  ): Promise<unknown> {
    const { clock, settings, connection } = this.#options;
    const payload = method.request.encode(request).finish();
    if (this.#closed) return Promise.reject(serviceError("CLOSED"));
    if (payload.byteLength + ENVELOPE_BYTES > connection.messageBytesMax)
      return Promise.reject(serviceError("TOO_LARGE"));
    if (this.#all.size >= settings.callsWaitingMax) {
      return Promise.reject(serviceError("OVERLOADED", { retryAfterMs: settings.retryPauseMaxMs }));
    }
    if (options.signal?.aborted) return Promise.reject(serviceError("CANCELLED", { executed: "no" }));
    return new Promise((resolve, reject) => {
      const deadlineMs = options.deadlineMs ?? settings.callDeadlineMs;
      const call: Call = {
        service,
        actorId,
        method,
        payload,
        deadlineAtMs: clock.monotonicMs() + deadlineMs,
        traceparent: options.traceparent ?? "",
        repeatable: method.readonly || options.repeatable === true,
        resolve,
        reject,
        open: new Set(),
        attempts: 0,
        mayHaveRun: false,
        lastError: undefined,
        next: undefined,
        deadline: clock.after(deadlineMs, () => this.#expire(call)),
        release: () => undefined,
      };
      this.#all.add(call);
      this.#cancelOn(options.signal, call);
      this.#attempt(call);
    });
  }

  /** One-way: at most once, and nobody learns whether. */
  tell(service: string, actorId: string, method: MethodDescriptor, request: unknown): void {
    const payload = method.request.encode(request).finish();
    if (!this.#closed) this.#send(service, actorId, method, payload, 0, 0, "");
  }

  receive({ callId, payload, failure }: Reply): void {
    const call = this.#byNumber.get(callId);
    if (call === undefined) return; // too late, and the caller has been told; or an earlier attempt was answered
    this.#byNumber.delete(callId);
    call.open.delete(callId);
    if (failure) return this.#failed(call, fromFailure(failure));
    let reply: unknown;
    try {
      reply = call.method.reply.decode(payload);
    } catch (cause) {
      return this.#reject(call, serviceError("BAD_REPLY", { cause }));
    }
    this.#end(call);
    call.resolve(reply);
  }

  /** No node took this attempt. */
  notDelivered(number: number): void {
    const call = this.#byNumber.get(number);
    if (call === undefined) return;
    this.#byNumber.delete(number);
    call.open.delete(number);
    this.#failed(call, serviceError("UNAVAILABLE"));
  }

  /** Answers may have been lost while the connection was away. */
  reconnected(): void {
    for (const call of [...this.#all]) if (call.open.size === 0 || call.repeatable) this.#attempt(call);
  }

  close(): void {
    this.#closed = true;
    for (const call of [...this.#all]) this.#reject(call, serviceError("CLOSED"));
  }

  #attempt(call: Call): void {
    const { clock, settings } = this.#options;
    call.next?.cancel();
    call.next = undefined;
    const number = ++this.#lastNumber;
    const leftMs = Math.max(1, Math.ceil(call.deadlineAtMs - clock.monotonicMs()));
    const { service, actorId, method, payload, traceparent } = call;
    if (!this.#send(service, actorId, method, payload, number, leftMs, traceparent)) {
      return this.#again(call, serviceError("UNAVAILABLE", { message: "The connection to NATS is away." }));
    }
    call.open.add(number);
    this.#byNumber.set(number, call);
    if (call.repeatable) call.next = clock.after(settings.repeatAfterMs, () => this.#attempt(call));
  }

  #send(
    service: string,
    actorId: string,
    method: MethodDescriptor,
    payload: Uint8Array,
    callId: number,
    deadlineMs: number,
    traceparent: string,
  ): boolean {
    const { id, connection } = this.#options;
    const call = {
      callId,
      from: id,
      service,
      method: method.name,
      ids: [actorId],
      deadlineMs,
      payload,
      traceparent,
      hops: 0,
    };
    const batch = {
      protocol: PROTOCOL,
      link: 0,
      envelopes: [{ call }],
      piece: new Uint8Array(0),
      piecesBefore: 0,
      piecesLeft: 0,
    };
    return connection.send(Batch.encode(batch).finish(), callId);
  }

  /** (C2) */
  #failed(call: Call, error: ServiceError): void {
    const nowhere = elsewhere.has(error.code) && error.executed === "no";
    const nobodyKnows = call.repeatable && error.retryable && error.executed === "maybe";
    if (nobodyKnows) call.mayHaveRun = true;
    if (nowhere || nobodyKnows) this.#again(call, error);
    else this.#reject(call, error);
  }

  #again(call: Call, error: ServiceError): void {
    const { clock, random, settings } = this.#options;
    call.lastError = error;
    const limits = { backoffBaseMs: settings.retryPauseMs, backoffCapMs: settings.retryPauseMaxMs };
    const pauseMs = Math.max(1, backoffMs(call.attempts, random, limits));
    call.attempts += 1;
    call.next?.cancel();
    call.next = clock.after(pauseMs, () => this.#attempt(call));
  }

  /** (C1) */
  #expire(call: Call): void {
    const untouched = call.open.size === 0 && !call.mayHaveRun;
    const cause = call.lastError;
    const why = cause === undefined ? "" : ` The last attempt: ${cause.message}`;
    const message = `${untouched ? "No node took the call" : "No answer came"} within the deadline.${why}`;
    const executed = untouched ? "no" : "maybe";
    this.#reject(call, serviceError("DEADLINE_EXCEEDED", { message, executed, ...(cause && { cause }) }));
  }

  #cancelOn(signal: AbortSignal | undefined, call: Call): void {
    if (signal === undefined) return;
    const cancel = () => this.#reject(call, serviceError("CANCELLED", { executed: "no" }));
    signal.addEventListener("abort", cancel, { once: true });
    call.release = () => signal.removeEventListener("abort", cancel);
  }

  /** (C3) */
  #reject(call: Call, error: ServiceError): void {
    const mayHaveRun = call.open.size > 0 || call.mayHaveRun;
    this.#end(call);
    call.reject(mayHaveRun && error.executed === "no" ? withExecuted(error, "maybe") : error);
  }

  #end(call: Call): void {
    this.#all.delete(call);
    for (const number of call.open) this.#byNumber.delete(number);
    call.open.clear();
    call.deadline?.cancel();
    call.next?.cancel();
    call.release();
  }
}
