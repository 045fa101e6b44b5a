// A call that its caller waits for, until it is answered, given up, or its time is over.

import type { MethodDescriptor } from "../proto/index.ts";
import type { Deadlines } from "./deadlines.ts";
import { type MadangError, runtimeErrors } from "./errors.ts";
import { Mail } from "./mail.ts";

export interface Caller {
  /** Tries again, if the deadline allows it; only for calls that are known not to have run. */
  again(call: Call, error: MadangError): void;
  /** The call ended without its answer: an answer that still comes is nobody's. */
  over(call: Call): void;
}

export class Call extends Mail {
  readonly service: string;
  readonly actorId: string;
  readonly #caller: Caller;
  readonly #resolve: (reply: unknown) => void;
  readonly #reject: (error: MadangError) => void;
  attempts = 0;
  /** Places in the list of deadlines. */
  watchedBy: Deadlines | undefined;
  older: Call | undefined;
  newer: Call | undefined;
  /** Set while the call is on its way to another node. */
  callId = 0;

  constructor(
    caller: Caller,
    service: string,
    actorId: string,
    method: MethodDescriptor,
    request: unknown,
    deadlineAtMs: number,
    traceparent: string,
    resolve: (reply: unknown) => void,
    reject: (error: MadangError) => void,
  ) {
    super(method, request, deadlineAtMs, traceparent);
    this.#caller = caller;
    this.service = service;
    this.actorId = actorId;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override succeed(reply: unknown): void {
    if (this.abandoned) return;
    this.#end();
    this.#resolve(reply);
  }

  override fail(error: MadangError): void {
    if (this.abandoned) return;
    const elsewhere = error.code === "MOVED" || error.code === "UNAVAILABLE";
    if (elsewhere && error.executed === "no") this.#caller.again(this, error);
    else this.giveUp(error);
  }

  giveUp(error: MadangError): void {
    if (this.abandoned) return;
    this.#end();
    this.#caller.over(this);
    // MOVED is between nodes; a caller has no use for it.
    this.#reject(error.code === "MOVED" ? runtimeErrors.UNAVAILABLE({ cause: error }) : error);
  }

  #end(): void {
    this.abandoned = true;
    this.watchedBy?.forget(this);
  }

  /** The deadline has passed. A call that never left, or was not started, has not run. */
  expire(): void {
    const untouched = !this.started && this.callId === 0;
    this.giveUp(runtimeErrors.DEADLINE_EXCEEDED(untouched ? { executed: "no" } : {}));
  }
}
