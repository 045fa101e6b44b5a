// One message on its way to one actor, or to many: what the mailbox holds and what a turn knows of its call.

import { type MethodDescriptor, Nothing } from "../proto/index.ts";
import type { Turn } from "./actor.ts";
import { type MadangError, runtimeErrors } from "./errors.ts";

/** One-way mail: nobody waits for the outcome. The same object may lie in many mailboxes. */
export class Mail implements Turn {
  readonly method: MethodDescriptor;
  readonly request: unknown;
  readonly deadlineAtMs: number;
  /** Of the caller's span; of a call, while its turn runs, of its own. */
  traceparent: string;
  abandoned = false;
  started = false;

  constructor(method: MethodDescriptor, request: unknown, deadlineAtMs: number, traceparent: string) {
    this.method = method;
    this.request = request;
    this.deadlineAtMs = deadlineAtMs;
    this.traceparent = traceparent;
  }

  /** The turn itself; what it knows of its call is another thing than the mail where that lies in other mailboxes, too. */
  invoke(actor: object, turn: Turn = this): unknown {
    const method = (actor as Readonly<Record<string, (request: unknown, turn: Turn) => unknown>>)[this.method.name];
    if (method === undefined) throw runtimeErrors.NO_SUCH_METHOD();
    return method.call(actor, this.request, turn);
  }

  succeed(_reply: unknown): void {}
  fail(_error: MadangError): void {}
}

const timer = {
  name: "timer",
  request: Nothing,
  reply: Nothing,
  readonly: false,
  oneway: true,
} as const satisfies MethodDescriptor;

/** A timer of the actor has fired: its task is a turn like any other. */
export class TimerMail extends Mail {
  readonly #task: () => void | Promise<void>;

  constructor(task: () => void | Promise<void>) {
    super(timer, undefined, Number.POSITIVE_INFINITY, "");
    this.#task = task;
  }

  override invoke(): unknown {
    return this.#task();
  }
}

/** Bytes that a request holds, about: what a mailbox's bound is counted in when nothing was encoded. */
export function requestBytes(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 8;
  if (value instanceof Uint8Array) return value.byteLength;
  let sum = 16;
  for (const part of Array.isArray(value) ? value : Object.values(value)) sum += requestBytes(part);
  return sum;
}
