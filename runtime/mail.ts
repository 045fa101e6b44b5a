// One message on its way to one actor, or to many: what the mailbox holds and what a turn knows of its call.

import type { MethodDescriptor } from "../proto/index.ts";
import type { Turn } from "./actor.ts";
import type { MadangError } from "./errors.ts";

/** One-way mail: nobody waits for the outcome. The same object may lie in many mailboxes. */
export class Mail implements Turn {
  readonly method: MethodDescriptor;
  readonly request: unknown;
  readonly deadlineAtMs: number;
  readonly traceparent: string;
  abandoned = false;
  started = false;

  constructor(method: MethodDescriptor, request: unknown, deadlineAtMs: number, traceparent: string) {
    this.method = method;
    this.request = request;
    this.deadlineAtMs = deadlineAtMs;
    this.traceparent = traceparent;
  }

  succeed(_reply: unknown): void {}
  fail(_error: MadangError): void {}
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
