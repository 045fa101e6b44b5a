// Envelopes to and from other nodes: encodes, batches what leaves for one node within one turn of the event loop, and
// matches replies with the calls that wait for them.
//
// (P1) A call that is certain not to have been delivered fails with UNAVAILABLE, executed: no.
// (P2) A call whose node has left the cluster fails with executed: maybe, unless it is known not to have been delivered.
// (P3) Bytes that are not a batch are counted and dropped.

import { Batch, type Envelope, type MethodDescriptor } from "../proto/index.ts";
import type { Call } from "./call.ts";
import type { Clock } from "./clock.ts";
import { type Executed, MadangError, runtimeErrors } from "./errors.ts";
import { Mail } from "./mail.ts";
import { LANES, laneOf } from "./shard.ts";
import type { Transport } from "./transport/port.ts";

/** Raised when the meaning of a field changes; nodes read this and the one before. */
const PROTOCOL = 1;
const executedOnWire: readonly Executed[] = ["no", "maybe", "yes"];

/** Mail that came from another node, on its way into a mailbox. */
export interface Arrivals {
  method(service: string, method: string): MethodDescriptor | undefined;
  /** Delivers here, or fails the mail with MOVED. */
  arrived(service: string, id: string, mail: Mail, hops: number): void;
}

interface Bag {
  readonly to: string;
  readonly lane: number;
  readonly envelopes: Envelope[];
  readonly calls: Call[];
}

interface Pending {
  readonly call: Call;
  readonly to: string;
}

class InboundCall extends Mail {
  readonly #answer: (envelope: Envelope) => void;
  readonly #callId: number;

  constructor(
    method: MethodDescriptor,
    request: unknown,
    deadlineAtMs: number,
    traceparent: string,
    callId: number,
    answer: (envelope: Envelope) => void,
  ) {
    super(method, request, deadlineAtMs, traceparent);
    this.#callId = callId;
    this.#answer = answer;
  }

  override succeed(reply: unknown): void {
    const payload = this.method.reply.encode(reply ?? {}).finish();
    this.#answer({ reply: { callId: this.#callId, payload } });
  }

  override fail(error: MadangError): void {
    const failure = {
      code: error.code,
      message: error.message,
      retryable: error.retryable,
      executed: executedOnWire.indexOf(error.executed),
      retryAfterMs: error.retryAfterMs,
      detail: JSON.stringify(error.detail),
    };
    this.#answer({ reply: { callId: this.#callId, payload: new Uint8Array(0), failure } });
  }
}

export class PostOffice {
  readonly stats = { batchesIn: 0, batchesOut: 0, malformed: 0 };
  readonly #nodeId: string;
  readonly #clock: Clock;
  readonly #transport: Transport;
  readonly #arrivals: Arrivals;
  readonly #bags = new Map<string, Bag>();
  readonly #pending = new Map<number, Pending>();
  readonly #inbound = new Map<string, InboundCall>();
  readonly #linkNumbers = new Map<string, number>();
  #lastCallId = 0;
  #leaving = false;

  constructor(nodeId: string, clock: Clock, transport: Transport, arrivals: Arrivals) {
    this.#nodeId = nodeId;
    this.#clock = clock;
    this.#transport = transport;
    this.#arrivals = arrivals;
    transport.open({ onBatch: (from, bytes) => this.#receive(from, bytes) });
  }

  // ---- out

  call(to: string, call: Call): void {
    call.callId = ++this.#lastCallId;
    this.#pending.set(call.callId, { call, to });
    const body = {
      callId: call.callId,
      from: this.#nodeId,
      service: call.service,
      method: call.method.name,
      ids: [call.actorId],
      deadlineMs: Math.max(1, Math.ceil(call.deadlineAtMs - this.#clock.monotonicMs())),
      payload: call.method.request.encode(call.request).finish(),
      traceparent: call.traceparent,
      hops: 0,
    };
    this.#put(to, laneOf(call.actorId), { call: body }, call);
  }

  /** One-way, for one actor or for many on that node. */
  tell(to: string, service: string, ids: readonly string[], mail: Mail, hops: number): void {
    const payload = mail.method.request.encode(mail.request).finish();
    const lanes: string[][] = [];
    for (const id of ids) {
      const lane = laneOf(id);
      lanes[lane] ??= [];
      (lanes[lane] as string[]).push(id);
    }
    for (let lane = 0; lane < LANES; lane++) {
      const inLane = lanes[lane];
      if (inLane === undefined) continue;
      const body = {
        callId: 0,
        from: this.#nodeId,
        service,
        method: mail.method.name,
        ids: inLane,
        deadlineMs: 0,
        payload,
        traceparent: mail.traceparent,
        hops,
      };
      this.#put(to, lane, { call: body }, undefined);
    }
  }

  /** The caller gave up. */
  cancel(call: Call): void {
    const pending = this.#pending.get(call.callId);
    if (pending === undefined) return;
    this.#pending.delete(call.callId);
    this.#put(pending.to, laneOf(call.actorId), { cancel: { from: this.#nodeId, callId: call.callId } }, undefined);
  }

  forget(call: Call): void {
    if (call.callId !== 0) this.#pending.delete(call.callId);
  }

  #put(to: string, lane: number, envelope: Envelope, call: Call | undefined): void {
    const key = `${lane}/${to}`;
    let bag = this.#bags.get(key);
    if (bag === undefined) {
      bag = { to, lane, envelopes: [], calls: [] };
      this.#bags.set(key, bag);
    }
    bag.envelopes.push(envelope);
    if (call !== undefined) bag.calls.push(call);
    if (this.#leaving) return;
    this.#leaving = true;
    this.#clock.soon(() => this.#flush());
  }

  #flush(): void {
    this.#leaving = false;
    for (const [key, { to, lane, envelopes, calls }] of this.#bags) {
      this.#bags.delete(key);
      const link = (this.#linkNumbers.get(key) ?? 0) + 1;
      this.#linkNumbers.set(key, link);
      const bytes = Batch.encode({ protocol: PROTOCOL, link, envelopes }).finish();
      this.stats.batchesOut += 1;
      this.#transport.send(to, lane, bytes, () => this.#notDelivered(calls));
    }
  }

  #notDelivered(calls: readonly Call[]): void {
    for (const call of calls) {
      if (!this.#pending.delete(call.callId)) continue;
      call.callId = 0;
      call.fail(runtimeErrors.UNAVAILABLE());
    }
  }

  /** The node is gone: what it was asked may have run (P2). */
  nodeLeft(nodeId: string): void {
    for (const [callId, { call, to }] of this.#pending) {
      if (to !== nodeId) continue;
      this.#pending.delete(callId);
      call.giveUp(runtimeErrors.UNAVAILABLE({ executed: "maybe", message: "the node left before it answered" }));
    }
    for (const key of this.#linkNumbers.keys()) if (key.endsWith(`/${nodeId}`)) this.#linkNumbers.delete(key);
  }

  // ---- in

  #receive(from: string, bytes: Uint8Array): void {
    this.stats.batchesIn += 1;
    let batch: Batch;
    try {
      batch = Batch.decode(bytes);
    } catch {
      this.stats.malformed += 1; // (P3)
      return;
    }
    if (batch.protocol !== PROTOCOL) {
      this.stats.malformed += 1;
      return;
    }
    for (const { call, reply, cancel } of batch.envelopes) {
      if (call) this.#receiveCall(from, call);
      else if (reply) this.#receiveReply(reply);
      else if (cancel) {
        const inbound = this.#inbound.get(`${cancel.from}/${cancel.callId}`);
        if (inbound !== undefined) inbound.abandoned = true;
      }
    }
  }

  #receiveCall(from: string, call: NonNullable<Envelope["call"]>): void {
    const method = this.#arrivals.method(call.service, call.method);
    const key = `${call.from}/${call.callId}`;
    const answer = (envelope: Envelope) => {
      this.#inbound.delete(key);
      this.#put(call.from || from, laneOf(call.ids[0] ?? ""), envelope, undefined);
    };
    let mail: Mail;
    try {
      if (method === undefined) throw runtimeErrors.NO_SUCH_METHOD();
      const request = method.request.decode(call.payload);
      if (call.callId === 0) mail = new Mail(method, request, Number.POSITIVE_INFINITY, call.traceparent);
      else {
        const deadlineAtMs = this.#clock.monotonicMs() + call.deadlineMs;
        const inbound = new InboundCall(method, request, deadlineAtMs, call.traceparent, call.callId, answer);
        this.#inbound.set(key, inbound);
        mail = inbound;
      }
    } catch (thrown) {
      this.stats.malformed += 1;
      const error = thrown instanceof MadangError ? thrown : runtimeErrors.NO_SUCH_METHOD({ cause: thrown });
      const method = { name: call.method } as MethodDescriptor;
      if (call.callId !== 0) new InboundCall(method, undefined, 0, "", call.callId, answer).fail(error);
      return;
    }
    for (const id of call.ids) this.#arrivals.arrived(call.service, id, mail, call.hops);
  }

  #receiveReply(reply: NonNullable<Envelope["reply"]>): void {
    const pending = this.#pending.get(reply.callId);
    if (pending === undefined) return; // answered too late, and the caller has been told
    this.#pending.delete(reply.callId);
    const { call } = pending;
    const { failure } = reply;
    if (!failure) {
      call.succeed(call.method.reply.decode(reply.payload));
      return;
    }
    call.callId = 0;
    const kind = {
      retryable: failure.retryable,
      executed: executedOnWire[failure.executed] ?? "maybe",
      sentence: failure.message,
    };
    const details = { retryAfterMs: failure.retryAfterMs, detail: JSON.parse(failure.detail || "{}") };
    call.fail(new MadangError(failure.code, kind, details));
  }
}
