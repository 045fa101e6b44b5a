// Envelopes to and from other nodes: matches replies with the calls that wait for them, and notices what was lost (links.ts).
// How they leave is told in mailbags.ts.
//
// (P1) A call that is certain not to have been delivered fails with UNAVAILABLE, executed: no.
// (P2) A call whose node has left the cluster fails with executed: maybe, unless it is known not to have been delivered.
// (P3) Bytes that are not a batch, or of another protocol, are counted and dropped.
// (P4) A service reaches only the methods that it was allowed, and is answered only under its own name.
// (P5) Nothing is taken from a node that is no member, but from one that this node has written to: it may answer. A member
//      of which this node has not heard yet is told that its calls did not run, and calls again.
// (P6) When something between two nodes was lost, each call between them in that lane ends soon: it is worked on and will be
//      answered, or fails with executed: maybe.

import { Batch, type Envelope, type MethodDescriptor, type Call as WireCall } from "../proto/index.ts";
import type { Call } from "./call.ts";
import type { Clock } from "./clock.ts";
import { type Executed, MadangError, runtimeErrors } from "./errors.ts";
import { InFlight } from "./in-flight.ts";
import { LinksIn } from "./links.ts";
import { Mail } from "./mail.ts";
import { type LaneStats, Mailbags, PROTOCOL } from "./mailbags.ts";
import { isServiceId, mayCall } from "./services.ts";
import type { RuntimeSettings } from "./settings.ts";
import { LANES, laneOf } from "./shard.ts";
import type { Transport } from "./transport/port.ts";

const executedOnWire: readonly Executed[] = ["no", "maybe", "yes"];

/** Mail that came from another node, on its way into a mailbox. */
export interface Arrivals {
  isMember(nodeId: string): boolean;
  method(service: string, method: string): MethodDescriptor | undefined;
  /** Delivers here, or fails the mail with MOVED. */
  arrived(service: string, id: string, mail: Mail, hops: number): void;
  /** The node that owns the actor, as far as is known here. */
  ownerOf(service: string, id: string): string | undefined;
  /** Something that this node sent in this lane is lost for good to us. */
  lostFrom(nodeId: string, lane: number): void;
  /** Something that we sent in this lane was lost on its way to this node. */
  lostTo(nodeId: string, lane: number): void;
}

export interface PostOfficeOptions {
  readonly nodeId: string;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly settings: RuntimeSettings;
  readonly arrivals: Arrivals;
}

const nothing = new Uint8Array(0);
/** At most, as a varint. */
const CALL_ID_BYTES = 8;
const LOST = "the call or its answer was lost on its way";
const newLane = (): LaneStats => ({ batchesIn: 0, batchesOut: 0, bytesIn: 0, bytesOut: 0, lostIn: 0, lostOut: 0 });

class Pending {
  readonly call: Call;
  readonly callId: number;
  readonly to: string;
  next: Pending | undefined;

  constructor(call: Call, to: string) {
    this.call = call;
    this.callId = call.callId;
    this.to = to;
  }
}

class InboundCall extends Mail {
  readonly callId: number;
  /** Who waits for the reply. */
  readonly from: string;
  readonly lane: number;
  readonly #answer: (call: InboundCall, envelope: Envelope) => void;
  next: InboundCall | undefined;

  constructor(
    method: MethodDescriptor,
    request: unknown,
    deadlineAtMs: number,
    from: string,
    call: WireCall,
    answer: (call: InboundCall, envelope: Envelope) => void,
  ) {
    super(method, request, deadlineAtMs, call.traceparent);
    this.callId = call.callId;
    this.from = from;
    this.lane = laneOf(call.ids[0] ?? "");
    this.#answer = answer;
  }

  override succeed(reply: unknown): void {
    const payload = this.method.reply.encode(reply ?? {}).finish();
    this.#answer(this, { reply: { callId: this.callId, payload } });
  }

  override fail(error: MadangError): void {
    this.#answer(this, failedReply(this.callId, error));
  }
}

function failedReply(callId: number, error: MadangError): Envelope {
  const failure = {
    code: error.code,
    message: error.message,
    retryable: error.retryable,
    executed: executedOnWire.indexOf(error.executed),
    retryAfterMs: error.retryAfterMs,
    detail: JSON.stringify(error.detail),
  };
  return { reply: { callId, payload: nothing, failure } };
}

export class PostOffice {
  readonly stats = {
    /** To and from all nodes. */
    lanes: Array.from({ length: LANES }, newLane) as readonly LaneStats[],
    /** From services, which come in no lane. */
    requests: 0,
    malformed: 0,
    strangers: 0,
    duplicates: 0,
    refused: 0,
    notDelivered: 0,
  };
  readonly #nodeId: string;
  readonly #clock: Clock;
  readonly #settings: RuntimeSettings;
  readonly #arrivals: Arrivals;
  readonly #pending = new InFlight<Pending>();
  readonly #inbound = new InFlight<InboundCall>();
  readonly #bags: Mailbags;
  readonly #linksIn: LinksIn;
  #lastCallId = 0;

  constructor({ nodeId, clock, transport, settings, arrivals }: PostOfficeOptions) {
    this.#nodeId = nodeId;
    this.#clock = clock;
    this.#settings = settings;
    this.#arrivals = arrivals;
    this.#bags = new Mailbags({
      clock,
      transport,
      settings,
      lanes: this.stats.lanes,
      onNotDelivered: (callIds, passedOn) => this.#notDelivered(callIds, passedOn),
    });
    this.#linksIn = new LinksIn(settings.nodeBytesMax);
    transport.open({
      onBatch: (from, lane, bytes) => this.#receive(from, lane, bytes),
      onRequest: (service, bytes) => this.#receiveRequest(service, bytes),
    });
  }

  /** Calls of this node that another one works on, and calls of others that are worked on here. */
  get waiting(): { readonly out: number; readonly in: number } {
    return { out: this.#pending.size, in: this.#inbound.size };
  }

  close(): void {
    this.#bags.close();
  }

  // ---- out

  call(to: string, call: Call): void {
    const payload = call.method.request.encode(call.request).finish();
    if (payload.byteLength > this.#settings.batchBytesMax) {
      call.giveUp(runtimeErrors.TOO_LARGE());
      return;
    }
    call.callId = ++this.#lastCallId;
    this.#pending.add(new Pending(call, to));
    const body = {
      callId: call.callId,
      from: this.#nodeId,
      service: call.service,
      method: call.method.name,
      ids: [call.actorId],
      deadlineMs: Math.max(1, Math.ceil(call.deadlineAtMs - this.#clock.monotonicMs())),
      payload,
      traceparent: call.traceparent,
      hops: 0,
    };
    this.#bags.put(to, laneOf(call.actorId), { call: body }, payload.byteLength, call.callId);
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
      this.#bags.put(to, lane, { call: body }, payload.byteLength);
    }
  }

  /** The caller gave up. */
  cancel(call: Call): void {
    const pending = this.#pending.take(call.callId);
    if (pending === undefined) return;
    this.#bags.put(pending.to, laneOf(call.actorId), { cancel: { from: this.#nodeId, callId: call.callId } }, 0);
  }

  forget(call: Call): void {
    if (call.callId !== 0) this.#pending.take(call.callId);
  }

  #notDelivered(callIds: readonly number[], passedOn: readonly WireCall[]): void {
    this.stats.notDelivered += 1;
    for (const call of passedOn) this.#refuse(call, runtimeErrors.UNAVAILABLE()); // (P1) holds for services too
    for (const callId of callIds) {
      const call = this.#pending.take(callId)?.call;
      if (call === undefined) continue;
      call.callId = 0;
      call.fail(runtimeErrors.UNAVAILABLE());
    }
  }

  /** The node is gone: what it was asked may have run (P2). */
  nodeLeft(nodeId: string): void {
    for (const { callId, call, to } of this.#pending.all()) {
      if (to !== nodeId || this.#pending.take(callId) === undefined) continue;
      call.giveUp(runtimeErrors.UNAVAILABLE({ executed: "maybe", message: "the node left before it answered" }));
    }
    this.#bags.forget(nodeId);
    this.#linksIn.forget(nodeId);
  }

  // ---- in

  #lane(lane: number): LaneStats {
    return this.stats.lanes[lane] as LaneStats;
  }

  #decode(bytes: Uint8Array): Batch | undefined {
    try {
      const batch = Batch.decode(bytes);
      if (batch.protocol === PROTOCOL) return batch;
    } catch {
      // Counted below, as what is of another protocol.
    }
    this.stats.malformed += 1; // (P3)
    return undefined;
  }

  #receive(from: string, lane: number, bytes: Uint8Array): void {
    const counts = this.#lane(lane);
    counts.batchesIn += 1;
    counts.bytesIn += bytes.byteLength;
    const batch = this.#decode(bytes);
    if (batch === undefined) return;
    if (!this.#arrivals.isMember(from) && !this.#bags.knows(from)) return this.#turnAway(from, lane, batch); // (P5)
    if (batch.link === 0) return this.#open(from, lane, batch);
    const isBeat = batch.envelopes.length === 0 && batch.piece.byteLength === 0;
    const verdict = this.#linksIn.accept(from, lane, batch, isBeat);
    if (verdict.lost) this.#lost(from, lane);
    if (verdict.kind === "take") this.#open(from, lane, batch);
    else if (verdict.kind === "whole") {
      const whole = this.#decode(verdict.bytes);
      if (whole !== undefined) this.#open(from, lane, whole);
    } else if (verdict.kind === "drop" && !isBeat) this.stats.duplicates += 1;
  }

  #turnAway(from: string, lane: number, { envelopes }: Batch): void {
    this.stats.strangers += 1;
    const refused = envelopes.flatMap(({ call }) =>
      call && call.callId !== 0 ? [failedReply(call.callId, runtimeErrors.UNAVAILABLE())] : [],
    );
    if (refused.length > 0) this.#bags.sendBeside(from, lane, refused);
  }

  #lost(from: string, lane: number): void {
    this.#lane(lane).lostIn += 1;
    this.#bags.put(from, lane, { lost: { lane } }, 0);
    this.#ask(from, lane);
    this.#arrivals.lostFrom(from, lane);
  }

  /** (P6) The question comes after every call that it names, and its answer after every other that was under way. */
  #ask(to: string, lane: number): void {
    const callIds: number[] = [];
    for (const pending of this.#pending.all()) {
      if (pending.to === to && laneOf(pending.call.actorId) === lane) callIds.push(pending.callId);
    }
    if (callIds.length > 0) this.#bags.put(to, lane, { inDoubt: { callIds } }, callIds.length * CALL_ID_BYTES);
  }

  #open(from: string, lane: number, batch: Batch): void {
    for (const { call, reply, cancel, lost, inDoubt } of batch.envelopes) {
      if (call) this.#receiveCall(from, call);
      else if (reply) this.#receiveReply(reply);
      else if (cancel) {
        const inbound = this.#inbound.find(cancel.callId, ({ from }) => from === cancel.from);
        if (inbound !== undefined) inbound.abandoned = true;
      } else if (lost) {
        if (lost.lane < LANES) this.#lane(lost.lane).lostOut += 1;
        this.#ask(from, lost.lane);
        this.#arrivals.lostTo(from, lost.lane);
      } else if (inDoubt) this.#resolve(from, lane, inDoubt.callIds);
    }
  }

  /** (P6) */
  #resolve(from: string, lane: number, callIds: readonly number[]): void {
    for (const callId of callIds) {
      if (this.#inbound.find(callId, (call) => call.from === from) !== undefined) continue;
      this.#bags.put(
        from,
        lane,
        failedReply(callId, runtimeErrors.UNAVAILABLE({ executed: "maybe", message: LOST })),
        0,
      );
    }
  }

  // ---- from services (P4)

  #receiveRequest(service: string, bytes: Uint8Array): void {
    this.stats.requests += 1;
    const batch = this.#decode(bytes);
    if (batch === undefined) return;
    for (const { call } of batch.envelopes) {
      if (!call || !isServiceId(call.from, service) || call.ids.length !== 1) {
        this.stats.malformed += 1;
      } else if (!mayCall(this.#settings.servicesAllowed, service, call.service, call.method)) {
        this.stats.refused += 1;
        const message = `The service ${service} may not call ${call.service}.${call.method}.`;
        this.#refuse(call, runtimeErrors.SERVICE_NOT_ALLOWED({ message }));
      } else this.#passOn(call);
    }
  }

  #passOn(call: WireCall): void {
    const id = call.ids[0] as string;
    const owner = this.#arrivals.ownerOf(call.service, id);
    if (owner === this.#nodeId) this.#receiveCall(this.#nodeId, call);
    else if (owner === undefined) this.#refuse(call, runtimeErrors.UNAVAILABLE());
    else this.#bags.passOn(owner, laneOf(id), call);
  }

  /** A call that was not begun. */
  #refuse(call: WireCall, error: MadangError): void {
    if (call.callId === 0) return;
    const method = { name: call.method } as MethodDescriptor;
    new InboundCall(method, undefined, 0, call.from, call, this.#answer).fail(error);
  }

  readonly #answer = (call: InboundCall, envelope: Envelope): void => {
    this.#inbound.remove(call);
    this.#bags.put(call.from, call.lane, envelope, envelope.reply?.payload.byteLength ?? 0);
    this.#bags.hurry();
  };

  #receiveCall(from: string, call: WireCall): void {
    const method = this.#arrivals.method(call.service, call.method);
    let mail: Mail;
    try {
      if (method === undefined) throw runtimeErrors.NO_SUCH_METHOD();
      const request = method.request.decode(call.payload);
      if (call.callId === 0) mail = new Mail(method, request, Number.POSITIVE_INFINITY, call.traceparent);
      else {
        const deadlineAtMs = this.#clock.monotonicMs() + call.deadlineMs;
        const inbound = new InboundCall(method, request, deadlineAtMs, call.from || from, call, this.#answer);
        this.#inbound.add(inbound);
        mail = inbound;
      }
    } catch (thrown) {
      this.stats.malformed += 1;
      const error = thrown instanceof MadangError ? thrown : runtimeErrors.NO_SUCH_METHOD({ cause: thrown });
      this.#refuse(call, error);
      return;
    }
    for (const id of call.ids) this.#arrivals.arrived(call.service, id, mail, call.hops);
  }

  #receiveReply(reply: NonNullable<Envelope["reply"]>): void {
    const call = this.#pending.take(reply.callId)?.call;
    if (call === undefined) return; // answered too late, and the caller has been told
    const { failure } = reply;
    if (!failure) {
      let answer: unknown;
      try {
        answer = call.method.reply.decode(reply.payload);
      } catch (cause) {
        this.stats.malformed += 1;
        call.giveUp(runtimeErrors.INTERNAL({ cause, message: "The answer could not be read." }));
        return;
      }
      call.succeed(answer);
      return;
    }
    call.callId = 0;
    const kind = {
      retryable: failure.retryable,
      executed: executedOnWire[failure.executed] ?? "maybe",
      sentence: failure.message,
    };
    const details = { retryAfterMs: failure.retryAfterMs, detail: detailFrom(failure.detail) };
    call.fail(new MadangError(failure.code, kind, details));
  }
}

/** What another node wrote as JSON; facts that cannot be read are no facts. */
function detailFrom(text: string): Readonly<Record<string, number | string>> {
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
