// One node of the cluster: its actors, its way to the others, and the references through which everybody calls everybody.
//
// (N1) A call to an actor on this node does not encode and does not leave the process.
// (N2) Tried again by itself is only what is known not to have run: MOVED, or not delivered.
// (N3) Every call ends within its deadline.

import type { MethodDescriptor, ServiceDescriptor } from "../proto/index.ts";
import type { ActorDefinition } from "./actor.ts";
import { Call, type Caller } from "./call.ts";
import type { Clock, Timer } from "./clock.ts";
import { Deadlines } from "./deadlines.ts";
import { type MadangError, runtimeErrors, toMadangError } from "./errors.ts";
import type { ShardFence, Tenure } from "./fence.ts";
import { Host, type Kind, type KindStats } from "./host.ts";
import type { Logger } from "./logger.ts";
import { Mail } from "./mail.ts";
import type { Membership } from "./membership/port.ts";
import type { Placement } from "./placement/port.ts";
import { PostOffice } from "./post-office.ts";
import type { Random } from "./random.ts";
import type { CallOptions, References } from "./reference.ts";
import type { RuntimeSettings } from "./settings.ts";
import { laneOf, shardOf } from "./shard.ts";
import { noTracer, type Tracer } from "./tracing.ts";
import type { Transport } from "./transport/port.ts";
import type { WakeList } from "./wake.ts";

export interface NodeOptions {
  /** `name#incarnation`, new at each start of the process. */
  readonly nodeId: string;
  readonly settings: RuntimeSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly transport: Transport;
  readonly membership: Membership;
  readonly placement: Placement;
  readonly fence: ShardFence;
  readonly wake: WakeList;
  readonly actors: readonly ActorDefinition[];
  /** Share of the heap that is in use, 0 to 1. */
  readonly heapShare?: () => number;
  readonly tracer?: Tracer;
}

/** The one-way methods of a service that lives on the node itself, such as the gateway. They must not throw. */
export type NodeHandlers<S extends ServiceDescriptor> = {
  readonly [Name in keyof S["methods"]]: S["methods"][Name] extends MethodDescriptor<infer Request, unknown>
    ? (request: Request, traceparent: string) => void
    : never;
};

export interface Node {
  readonly nodeId: string;
  /** Typed references to the actors of a kind, or to a service of every node. */
  references<S extends ServiceDescriptor>(service: S): References<S>;
  /** Answers for a service that is addressed by node. */
  serve<S extends ServiceDescriptor>(service: S, handlers: NodeHandlers<S>): void;
  /**
   * What actors have sent to this node may be lost: those whose owner has changed, or whose owner's way to here broke. Whoever
   * lives on what they tell asks them anew.
   */
  onMailLost(listener: (isAffected: (actorId: string) => boolean) => void): void;
  /** Of the actor's present owner, as far as this node knows; 0 if nobody is known. */
  epochOf(actorId: string): number;
  stats(): NodeStats;
  /** Lets all shards go, then leaves. */
  close(): Promise<void>;
}

export interface NodeStats {
  readonly activations: number;
  readonly waitingMessages: number;
  readonly waitingBytes: number;
  /** In the store, of actors that a fail-over would wake. */
  readonly wakeRows: number;
  /** Of the way to and from other nodes; counters since the start, but for `calls…`, which say how it is now. */
  readonly mail: PostOffice["stats"] & { readonly callsOut: number; readonly callsIn: number };
  readonly kinds: Readonly<Record<string, KindStats & { readonly activations: number }>>;
}

export function createNode(options: NodeOptions): Node {
  return new NodeRuntime(options);
}

type AnyHandlers = Readonly<Record<string, (request: unknown, traceparent: string) => void>>;

interface TakeOver {
  readonly tenure: Tenure;
  readonly resolve: () => void;
  readonly reject: (error: MadangError) => void;
}

/** Shards claimed at once when a node gets many: the store is asked in parallel, but not flooded. */
const CLAIMS_AT_ONCE = 64;

class NodeRuntime implements Node, Caller {
  readonly nodeId: string;
  readonly #options: NodeOptions;
  readonly #settings: RuntimeSettings;
  readonly #clock: Clock;
  readonly #host: Host;
  readonly #office: PostOffice;
  readonly #deadlines: Deadlines;
  readonly #served = new Map<string, { readonly service: ServiceDescriptor; readonly handlers: AnyHandlers }>();
  /** Calls that did not run where they went, by shard, each with the pause after which it tries again in any case. */
  readonly #turnedAway = new Map<number, Map<Call, Timer>>();
  readonly #takeOvers: TakeOver[] = [];
  readonly #mailLostListeners: ((isAffected: (actorId: string) => boolean) => void)[] = [];
  #takingOver = 0;
  #closed = false;

  constructor(options: NodeOptions) {
    const { nodeId, settings, clock, random, log, fence, wake, placement, membership } = options;
    this.nodeId = nodeId;
    this.#options = options;
    this.#settings = settings;
    this.#clock = clock;
    this.#host = new Host({
      clock,
      random,
      settings,
      fence,
      wake,
      log,
      tracer: options.tracer ?? noTracer,
      heapShare: options.heapShare ?? (() => 0),
      onLost: (tenure, highestEpoch) => placement.reportLost(tenure, highestEpoch),
    });
    for (const definition of options.actors) this.#host.define(definition);
    this.#deadlines = new Deadlines(clock, settings.deadlineSweepMs);
    this.#office = new PostOffice({
      nodeId,
      clock,
      transport: options.transport,
      settings,
      arrivals: {
        isMember: (id) => membership.knows(id),
        method: (service, method) => this.#descriptor(service)?.methods[method],
        arrived: (service, id, mail, hops) => this.#arrived(service, id, mail, hops),
        ownerOf: (service, id) => (this.#served.get(service)?.service.onNode ? id : this.#ownerOfActor(id)),
        // What actors tell this node itself comes in the lane of its id; what they tell each other in the receiver's.
        lostFrom: (from, lane) => {
          if (lane === laneOf(nodeId)) this.#tellMailLost((id) => this.#ownerOfActor(id) === from);
        },
        lostTo: (to, lane) => this.#host.mailLost((id) => laneOf(id) === lane && this.#ownerOfActor(id) === to),
      },
    });
    membership.onLeft((left) => this.#office.nodeLeft(left));
    placement.open({
      onAssigned: (tenure) => this.#assigned(tenure),
      onHandoff: (tenure) => this.#host.release(tenure),
      onRevoked: (tenure) => this.#host.revoke(tenure),
      onOwnersChanged: (shards) => {
        const changed = new Set(shards);
        const isAffected = (id: string) => changed.has(shardOf(id, settings.shardCount));
        this.#tellMailLost(isAffected);
        this.#host.mailLost(isAffected); // an owner that lets go drops one-way mail, and a dead one has taken it along
        for (const shard of shards) this.#tryAgain(shard);
      },
    });
  }

  onMailLost(listener: (isAffected: (actorId: string) => boolean) => void): void {
    this.#mailLostListeners.push(listener);
  }

  epochOf(actorId: string): number {
    return this.#options.placement.ownerOf(shardOf(actorId, this.#settings.shardCount))?.epoch ?? 0;
  }

  #tellMailLost(isAffected: (actorId: string) => boolean): void {
    for (const listener of this.#mailLostListeners) listener(isAffected);
  }

  #descriptor(service: string): ServiceDescriptor | undefined {
    return this.#host.kinds.get(service)?.definition.service ?? this.#served.get(service)?.service;
  }

  // ---- references

  references<S extends ServiceDescriptor>(service: S): References<S> {
    const tell = (id: string, method: MethodDescriptor, request: unknown, traceparent = "") =>
      this.#tell(service, id, method, request, traceparent);
    const tellMany = (ids: readonly string[], method: MethodDescriptor, request: unknown, traceparent = "") =>
      this.#tellMany(service, ids, method, request, traceparent);
    const call = (id: string, method: MethodDescriptor, request: unknown, options: CallOptions | undefined) =>
      this.#call(service, id, method, request, options);
    class ActorReference {
      readonly id: string;
      constructor(id: string) {
        this.id = id;
      }
    }
    class GroupReference {
      readonly ids: readonly string[];
      constructor(ids: readonly string[]) {
        this.ids = ids;
      }
    }
    for (const [name, method] of Object.entries(service.methods)) {
      const value = method.oneway
        ? function (this: ActorReference, request: unknown, traceparent?: string) {
            tell(this.id, method, request, traceparent);
          }
        : function (this: ActorReference, request: unknown, options?: CallOptions) {
            return call(this.id, method, request, options);
          };
      Object.defineProperty(ActorReference.prototype, name, { value });
      if (!method.oneway) continue;
      Object.defineProperty(GroupReference.prototype, name, {
        value(this: GroupReference, request: unknown, traceparent?: string) {
          tellMany(this.ids, method, request, traceparent);
        },
      });
    }
    const one = (id: string) => new ActorReference(id);
    const many = (ids: readonly string[]) => new GroupReference(ids);
    return Object.assign(one, { many }) as unknown as References<S>;
  }

  serve<S extends ServiceDescriptor>(service: S, handlers: NodeHandlers<S>): void {
    this.#served.set(service.name, { service, handlers: handlers as unknown as AnyHandlers });
  }

  // ---- calls

  #call(
    service: ServiceDescriptor,
    id: string,
    method: MethodDescriptor,
    request: unknown,
    options: CallOptions | undefined,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const deadlineAtMs = this.#clock.monotonicMs() + (options?.deadlineMs ?? this.#settings.callDeadlineMs);
      const traceparent = options?.traceparent ?? "";
      const call = new Call(this, service.name, id, method, request, deadlineAtMs, traceparent, resolve, reject);
      if (options?.signal !== undefined) this.#cancelOn(options.signal, call);
      this.#dispatch(call);
      if (!call.abandoned) this.#deadlines.watch(call);
    });
  }

  #cancelOn(signal: AbortSignal, call: Call): void {
    const cancel = () => {
      if (call.abandoned) return;
      this.#office.cancel(call);
      call.giveUp(runtimeErrors.CANCELLED(call.started || call.callId !== 0 ? {} : { executed: "no" }));
    };
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
  }

  #dispatch(call: Call): void {
    if (call.abandoned) return;
    const kind = this.#host.kinds.get(call.service);
    const activation = kind?.activations.get(call.actorId);
    if (activation !== undefined) {
      activation.enqueue(call);
      return;
    }
    const shard = shardOf(call.actorId, this.#settings.shardCount);
    const owner = this.#options.placement.ownerOf(shard);
    if (owner === undefined) this.again(call, runtimeErrors.UNAVAILABLE());
    else if (owner.nodeId !== this.nodeId) this.#office.call(owner.nodeId, call);
    else if (kind === undefined) call.giveUp(runtimeErrors.NO_SUCH_METHOD());
    else this.#host.deliver(kind, call.actorId, call);
  }

  /** (N2) */
  again(call: Call, error: MadangError): void {
    if (this.#closed) {
      call.giveUp(runtimeErrors.SHUTTING_DOWN());
      return;
    }
    const { retryPauseMs, retryPauseMaxMs } = this.#settings;
    const pauseMs =
      Math.min(retryPauseMaxMs, retryPauseMs * 2 ** call.attempts) * (0.5 + this.#options.random.next() / 2);
    call.attempts += 1;
    call.callId = 0;
    call.started = false;
    if (this.#clock.monotonicMs() + pauseMs >= call.deadlineAtMs) call.giveUp(error);
    else this.#turnAway(call, pauseMs);
  }

  /** It goes out again when its shard has another owner, so that a hand-off costs no pauses; else after this one. */
  #turnAway(call: Call, pauseMs: number): void {
    const shard = shardOf(call.actorId, this.#settings.shardCount);
    let waiting = this.#turnedAway.get(shard);
    if (waiting === undefined) {
      waiting = new Map();
      this.#turnedAway.set(shard, waiting);
    }
    const timer = this.#clock.after(pauseMs, () => {
      const left = this.#turnedAway.get(shard);
      left?.delete(call);
      if (left?.size === 0) this.#turnedAway.delete(shard);
      this.#dispatch(call);
    });
    waiting.set(call, timer);
  }

  #tryAgain(shard: number): void {
    const waiting = this.#turnedAway.get(shard);
    if (waiting === undefined) return;
    this.#turnedAway.delete(shard);
    for (const timer of waiting.values()) timer.cancel();
    // Those that were sent one after another arrive so.
    for (const call of [...waiting.keys()].sort((a, b) => a.deadlineAtMs - b.deadlineAtMs)) {
      call.attempts = 0; // where it went before says nothing of where it goes now
      this.#dispatch(call);
    }
  }

  over(call: Call): void {
    this.#office.forget(call);
  }

  // ---- one-way

  #tell(service: ServiceDescriptor, id: string, method: MethodDescriptor, request: unknown, traceparent: string): void {
    if (service.onNode && id === this.nodeId) {
      this.#served.get(service.name)?.handlers[method.name]?.(request, traceparent);
      return;
    }
    const activation = this.#host.kinds.get(service.name)?.activations.get(id);
    const mail = new Mail(method, request, Number.POSITIVE_INFINITY, traceparent);
    if (activation !== undefined && activation.phase === "active") activation.enqueue(mail);
    else this.#route(service, id, mail, 0);
  }

  #tellMany(
    service: ServiceDescriptor,
    ids: readonly string[],
    method: MethodDescriptor,
    request: unknown,
    traceparent: string,
  ): void {
    const kind = this.#host.kinds.get(service.name);
    const mail = new Mail(method, request, Number.POSITIVE_INFINITY, traceparent);
    let away: Map<string, string[]> | undefined;
    for (const id of ids) {
      const activation = kind?.activations.get(id);
      if (activation !== undefined && activation.phase === "active") {
        activation.enqueue(mail);
        continue;
      }
      const owner = this.#ownerOf(service, id);
      if (owner === undefined) continue;
      if (owner === this.nodeId) this.#route(service, id, mail, 0);
      else {
        away ??= new Map();
        const together = away.get(owner);
        if (together === undefined) away.set(owner, [id]);
        else together.push(id);
      }
    }
    if (away !== undefined) for (const [to, together] of away) this.#office.tell(to, service.name, together, mail, 0);
  }

  #ownerOf(service: ServiceDescriptor, id: string): string | undefined {
    return service.onNode ? id : this.#ownerOfActor(id);
  }

  #ownerOfActor(id: string): string | undefined {
    return this.#options.placement.ownerOf(shardOf(id, this.#settings.shardCount))?.nodeId;
  }

  #route(service: ServiceDescriptor, id: string, mail: Mail, hops: number): void {
    const owner = this.#ownerOf(service, id);
    const kind = this.#host.kinds.get(service.name);
    if (owner === undefined) return; // one-way mail is at most once
    if (owner !== this.nodeId) this.#office.tell(owner, service.name, [id], mail, hops);
    else if (kind !== undefined) this.#host.deliver(kind, id, mail);
  }

  #arrived(service: string, id: string, mail: Mail, hops: number): void {
    const served = this.#served.get(service);
    if (served !== undefined) {
      if (id === this.nodeId) served.handlers[mail.method.name]?.(mail.request, mail.traceparent);
      return;
    }
    const kind = this.#host.kinds.get(service);
    if (kind === undefined) mail.fail(runtimeErrors.NO_SUCH_METHOD());
    else if (this.#host.owns(shardOf(id, this.#settings.shardCount))) this.#host.deliver(kind, id, mail);
    else if (mail.method.oneway && hops < this.#settings.hopsMax)
      this.#route(kind.definition.service, id, mail, hops + 1);
    else mail.fail(runtimeErrors.MOVED());
  }

  // ---- shards

  #assigned(tenure: Tenure): Promise<void> {
    this.#host.assign(tenure);
    return new Promise((resolve, reject) => {
      this.#takeOvers.push({ tenure, resolve, reject });
      this.#takeOverNext();
    });
  }

  /** Claims what was assigned in the background; a call that comes first claims its shard by itself. */
  #takeOverNext(): void {
    while (this.#takingOver < CLAIMS_AT_ONCE) {
      const takeOver = this.#takeOvers.shift();
      if (takeOver === undefined) return;
      const { tenure, resolve, reject } = takeOver;
      this.#takingOver += 1;
      this.#host
        .takeOver(tenure)
        .then(resolve, (thrown) => {
          const error = toMadangError(thrown);
          if (error.code === "MOVED" || error.code === "SHARD_LOST" || this.#closed) return reject(error);
          this.#options.log.error(
            { shard: tenure.shard, epoch: tenure.epoch, error },
            "a shard could not be taken over",
          );
          this.#clock.after(this.#settings.retryPauseMaxMs, () => {
            this.#takeOvers.push(takeOver);
            this.#takeOverNext();
          });
        })
        .finally(() => {
          this.#takingOver -= 1;
          this.#takeOverNext();
        });
    }
  }

  // ---- the rest

  stats(): NodeStats {
    const { load, kinds } = this.#host;
    const waiting = this.#office.waiting;
    const each = ([name, { stats, activations }]: [string, Kind]) =>
      [name, { ...stats, activations: activations.size }] as const;
    return {
      activations: this.#host.activations,
      waitingMessages: load.messages,
      waitingBytes: load.bytes,
      wakeRows: this.#host.wakeRows,
      mail: { ...this.#office.stats, callsOut: waiting.out, callsIn: waiting.in },
      kinds: Object.fromEntries([...kinds].map(each)),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#host.close();
    this.#office.close();
    await this.#options.transport.close();
  }
}
