// One actor in memory: its turns, the mail that waits behind a long turn, its timers.
//
// (A1) One turn at a time. Read-only methods and the slow part behind a `Later` do not count as the turn.
// (A2) Mail is taken in the order of its arrival.
// (A3) What waits is bounded in number and bytes; beyond that the caller is told OVERLOADED at once.
// (A4) An activation belongs to one tenure and never outlives it.

import type { ServiceDescriptor } from "../proto/index.ts";
import { type ActorContext, type Handlers, Later, type Lifecycle, type Turn } from "./actor.ts";
import type { Clock, Timer } from "./clock.ts";
import { type MadangError, runtimeErrors, toMadangError } from "./errors.ts";
import type { Tenure } from "./fence.ts";
import type { Kind } from "./host.ts";
import { type Mail, requestBytes, TimerMail } from "./mail.ts";
import type { Random } from "./random.ts";
import type { RuntimeSettings } from "./settings.ts";
import type { Span, Tracer } from "./tracing.ts";

export type Actor = Handlers<ServiceDescriptor> & Lifecycle;

/** What an activation needs of its host. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: RuntimeSettings;
  readonly load: NodeLoad;
  readonly tracer: Tracer;
  /** Coarse monotonic time, for idleness. */
  readonly sweptAtMs: number;
  schedule(activation: Activation, mail: Mail): void;
  turnFailed(activation: Activation, mail: Mail, error: unknown): void;
  registerWake(activation: Activation): Promise<void> | undefined;
  verify(tenure: Tenure): Promise<void>;
}

/** What waits on the whole node. */
export interface NodeLoad {
  messages: number;
  bytes: number;
}

/**
 * activating: mail waits. active: mail runs. draining: turns that have begun end, other mail is answered MOVED.
 * leaving: the actor writes its last; mail waits for the next activation. gone: nothing of it is left.
 */
export type Phase = "activating" | "active" | "draining" | "leaving" | "gone";

const nothingWaits: readonly Mail[] = [];

/** One of an actor's timers. Small, for an idle session has one or two. */
class ActorTimer implements Timer {
  readonly #activation: Activation;
  readonly #task: () => void | Promise<void>;
  readonly #timer: Timer;
  #before: ActorTimer | undefined;
  #after: ActorTimer | undefined;
  #ended = false;

  constructor(activation: Activation, delayMs: number, task: () => void | Promise<void>) {
    this.#activation = activation;
    this.#task = task;
    this.#timer = activation.clock.after(delayMs, () => this.#fire());
    this.#after = activation.firstTimer;
    if (this.#after !== undefined) this.#after.#before = this;
    activation.firstTimer = this;
  }

  #fire(): void {
    if (this.#ended) return;
    this.#end();
    if (this.#activation.phase === "active") this.#activation.enqueue(new TimerMail(this.#task));
  }

  cancel(): void {
    if (this.#ended) return;
    this.#end();
    this.#timer.cancel();
  }

  #end(): void {
    this.#ended = true;
    if (this.#before === undefined) this.#activation.firstTimer = this.#after;
    else this.#before.#after = this.#after;
    if (this.#after !== undefined) this.#after.#before = this.#before;
  }
}

export class Activation implements ActorContext {
  readonly kind: Kind;
  readonly id: string;
  readonly tenure: Tenure;
  readonly activatedFor: string;
  readonly #host: Surroundings;
  phase: Phase = "activating";
  actor: Actor | undefined;
  lastUsedMs: number;
  unfinished = false;
  wakeSlot = -1;
  /** Mail in the node's run queue. */
  scheduled = 0;
  /** Turns, reads and late replies under way. */
  #underWay = 0;
  #turnRuns = false;
  #waiting: Mail[] = nothingWaits as Mail[];
  #waitingBytes = 0;
  /** Those of its timers that have not fired: a list that they link themselves into. */
  firstTimer: ActorTimer | undefined;
  #drained: (() => void) | undefined;

  constructor(kind: Kind, id: string, tenure: Tenure, activatedFor: string, host: Surroundings) {
    this.kind = kind;
    this.id = id;
    this.tenure = tenure;
    this.activatedFor = activatedFor;
    this.#host = host;
    this.lastUsedMs = host.sweptAtMs;
  }

  get shard(): number {
    return this.tenure.shard;
  }
  get epoch(): number {
    return this.tenure.epoch;
  }
  get clock(): Clock {
    return this.#host.clock;
  }
  get random(): Random {
    return this.#host.random;
  }
  get idle(): boolean {
    return this.phase === "active" && this.#underWay === 0 && this.scheduled === 0 && this.#waiting.length === 0;
  }

  // ---- mail

  enqueue(mail: Mail): void {
    if (this.phase === "active" && !this.#turnRuns && this.#waiting.length === 0) {
      if (this.scheduled >= this.#host.settings.mailboxMessagesMax) this.#refuse(mail);
      else this.#host.schedule(this, mail);
    } else if (this.phase === "draining" || this.phase === "gone") mail.fail(runtimeErrors.MOVED());
    else this.#wait(mail);
  }

  #wait(mail: Mail): void {
    const { settings, load } = this.#host;
    const bytes = requestBytes(mail.request);
    if (
      this.#waiting.length >= settings.mailboxMessagesMax ||
      this.#waitingBytes + bytes > settings.mailboxBytesMax ||
      load.bytes + bytes > settings.nodeBytesMax ||
      load.messages >= settings.nodeMessagesMax
    ) {
      this.#refuse(mail);
      return;
    }
    if (this.#waiting === nothingWaits) this.#waiting = [];
    this.#waiting.push(mail);
    this.#waitingBytes += bytes;
    load.bytes += bytes;
    load.messages += 1;
  }

  #refuse(mail: Mail): void {
    this.kind.stats.overloaded += 1;
    mail.fail(
      runtimeErrors.OVERLOADED({ retryAfterMs: 100, message: `${this.kind.name} ${this.id} has too much mail` }),
    );
  }

  /** Everything that waits, in order; the mailbox is empty afterwards. */
  takeWaiting(): Mail[] {
    const waiting = this.#waiting;
    this.#waiting = nothingWaits as Mail[];
    this.#host.load.bytes -= this.#waitingBytes;
    this.#host.load.messages -= waiting.length;
    this.#waitingBytes = 0;
    return waiting;
  }

  #proceed(): void {
    while (!this.#turnRuns && this.#waiting.length > 0 && this.phase === "active") {
      const mail = this.#waiting.shift() as Mail;
      const bytes = requestBytes(mail.request);
      this.#waitingBytes -= bytes;
      this.#host.load.bytes -= bytes;
      this.#host.load.messages -= 1;
      this.#runTurn(mail);
    }
    if (this.#waiting.length === 0) this.#waiting = nothingWaits as Mail[];
  }

  // ---- turns

  /** From the run queue. A turn may have begun since the mail was scheduled: then it waits like all other mail (A2). */
  run(mail: Mail): void {
    this.scheduled -= 1;
    if (this.phase === "draining" || this.phase === "gone") mail.fail(runtimeErrors.MOVED());
    else if (this.phase !== "active" || this.#turnRuns || this.#waiting.length > 0) this.#wait(mail);
    else this.#runTurn(mail);
  }

  #runTurn(mail: Mail): void {
    if (mail.abandoned || mail.deadlineAtMs < this.#host.clock.monotonicMs()) {
      this.kind.stats.expired += 1;
      mail.fail(runtimeErrors.DEADLINE_EXCEEDED({ executed: "no" }));
      return;
    }
    mail.started = true;
    this.lastUsedMs = this.#host.sweptAtMs;
    this.kind.stats.turns += 1;
    if (mail.traceparent !== "") return this.#runTraced(mail);
    this.#invoke(mail, undefined);
  }

  #runTraced(mail: Mail): void {
    const facts = { "madang.actor": `${this.kind.name}/${this.id}`, "madang.epoch": this.epoch };
    const span = this.#host.tracer.start(`${this.kind.name}.${mail.method.name}`, mail.traceparent, facts);
    if (span === undefined) return this.#invoke(mail, span);
    const { traceparent } = span;
    if (mail.method.oneway)
      this.#invoke(mail, span, { deadlineAtMs: mail.deadlineAtMs, traceparent, abandoned: false });
    else {
      mail.traceparent = traceparent;
      this.#invoke(mail, span);
    }
  }

  #invoke(mail: Mail, span: Span | undefined, turn?: Turn): void {
    let result: unknown;
    try {
      result = mail.invoke(this.actor as Actor, turn);
    } catch (error) {
      this.#failed(mail, span, error);
      return;
    }
    if (result instanceof Promise) this.#follow(mail, span, result);
    else if (result instanceof Later) this.#owe(mail, span, result);
    else this.#succeeded(mail, span, result);
  }

  #follow(mail: Mail, span: Span | undefined, outcome: Promise<unknown>): void {
    const holds = !mail.method.readonly;
    this.#underWay += 1;
    if (holds) this.#turnRuns = true;
    const end = () => {
      this.#end();
      if (!holds) return;
      this.#turnRuns = false;
      this.#proceed();
    };
    outcome.then(
      (reply) => {
        if (reply instanceof Later) this.#owe(mail, span, reply);
        else this.#succeeded(mail, span, reply);
        end();
      },
      (error) => {
        this.#failed(mail, span, error);
        end();
      },
    );
  }

  #owe(mail: Mail, span: Span | undefined, later: Later<unknown>): void {
    this.#underWay += 1;
    later.settle(
      (reply) => {
        this.#succeeded(mail, span, reply);
        this.#end();
      },
      (error) => {
        this.#failed(mail, span, error);
        this.#end();
      },
    );
  }

  #end(): void {
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#drained?.();
  }

  #succeeded(mail: Mail, span: Span | undefined, reply: unknown): void {
    span?.end();
    mail.succeed(reply);
  }

  #failed(mail: Mail, span: Span | undefined, thrown: unknown): void {
    this.#host.turnFailed(this, mail, thrown);
    const error = toMadangError(thrown);
    span?.end(error);
    mail.fail(error);
  }

  // ---- phases

  activated(actor: Actor): void {
    this.actor = actor;
    this.phase = "active";
    this.#proceed();
  }

  /** Starts no more turns; resolves when those that have begun, and the replies that are owed, have ended. */
  drain(): Promise<void> {
    this.phase = "draining";
    for (const mail of this.takeWaiting()) mail.fail(runtimeErrors.MOVED());
    if (this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  /** Stops turns for good; mail from now on waits, to be taken by takeWaiting(). */
  leave(): void {
    this.phase = "leaving";
    for (let timer = this.firstTimer; timer !== undefined; timer = this.firstTimer) timer.cancel();
  }

  gone(error: MadangError | undefined): void {
    this.phase = "gone";
    if (error !== undefined) for (const mail of this.takeWaiting()) mail.fail(error);
  }

  // ---- ActorContext

  after(delayMs: number, task: () => void | Promise<void>): Timer {
    return new ActorTimer(this, delayMs, task);
  }

  wakeOnFailover(): Promise<void> | undefined {
    return this.#host.registerWake(this);
  }

  setUnfinished(unfinished: boolean): void {
    this.unfinished = unfinished;
  }

  verify(): Promise<void> {
    return this.#host.verify(this.tenure);
  }
}
