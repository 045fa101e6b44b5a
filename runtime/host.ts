// The actors of this node: finds or activates them, runs their turns, and lets them leave.
//
// (H1) At most one activation of an actor at a time here, and only under a tenure that was claimed.
// (H2) When a shard leaves, its actors finish the turns that have begun; mail that was not started is answered MOVED.
// (H3) An actor leaves memory only when nothing of it is under way and it agrees.

import { Activation, type Actor, type NodeLoad, type Surroundings } from "./activation.ts";
import type { ActorDefinition } from "./actor.ts";
import { type Clock, pause, type Timer } from "./clock.ts";
import { type MadangError, runtimeErrors, toMadangError } from "./errors.ts";
import type { ShardFence, Tenure } from "./fence.ts";
import { createGate, type Gate } from "./gate.ts";
import type { Logger } from "./logger.ts";
import type { Mail } from "./mail.ts";
import type { Random } from "./random.ts";
import type { RuntimeSettings } from "./settings.ts";
import { shardOf } from "./shard.ts";
import type { Tracer } from "./tracing.ts";
import type { WakeList } from "./wake.ts";
import { WakeKeeper } from "./wake-keeper.ts";

export interface KindStats {
  turns: number;
  failed: number;
  expired: number;
  overloaded: number;
  activated: number;
  passivated: number;
  activationFailed: number;
}

export interface Kind {
  readonly name: string;
  readonly definition: ActorDefinition;
  readonly activations: Map<string, Activation>;
  readonly parked: Map<string, Parked>;
  readonly stats: KindStats;
}

/** An actor that failed to activate again and again is left alone for a while. */
interface Parked {
  failures: number;
  firstAtMs: number;
  untilMs: number;
}

type ShardState =
  | { readonly phase: "unclaimed"; readonly tenure: Tenure }
  | { readonly phase: "claiming"; readonly tenure: Tenure; readonly claimed: Promise<void> }
  | { readonly phase: "active"; readonly tenure: Tenure }
  | { readonly phase: "leaving"; readonly tenure: Tenure };

export interface HostOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: RuntimeSettings;
  readonly fence: ShardFence;
  readonly wake: WakeList;
  readonly log: Logger;
  readonly tracer: Tracer;
  /** Share of the heap that is in use, 0 to 1. */
  readonly heapShare: () => number;
  readonly onLost: (tenure: Tenure, highestEpoch: number) => void;
}

/** Turns in one go before sockets and timers get their chance. */
const TURNS_A_GO = 5_000;
/** Activations looked at in one sweep, so that a sweep stays far below a millisecond. */
const SWEEP_ACTIVATIONS = 5_000;

export class Host implements Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: RuntimeSettings;
  readonly tracer: Tracer;
  readonly load: NodeLoad = { messages: 0, bytes: 0 };
  sweptAtMs: number;
  readonly kinds = new Map<string, Kind>();
  readonly #options: HostOptions;
  readonly #shards: (ShardState | undefined)[] = [];
  readonly #activating: Gate;
  readonly #wake: WakeKeeper;
  readonly #sweeps = new Map<Kind, Iterator<Activation>>();
  #runActivations: Activation[] = [];
  #runMails: Mail[] = [];
  /** Wake rows of shards that have left, on their way out of the store. */
  readonly #clearing = new Set<Promise<void>>();
  #draining = false;
  #sweep: Timer | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.random = options.random;
    this.settings = options.settings;
    this.tracer = options.tracer;
    this.sweptAtMs = options.clock.monotonicMs();
    this.#activating = createGate(options.settings.activatingMax);
    this.#wake = new WakeKeeper(options.wake, options.clock, options.settings.wakeSlotMs, options.log);
    options.fence.onLost((tenure, highestEpoch) => this.#lost(tenure, highestEpoch));
    this.#armSweep();
  }

  define(definition: ActorDefinition): void {
    const { name } = definition.service;
    const stats: KindStats = {
      turns: 0,
      failed: 0,
      expired: 0,
      overloaded: 0,
      activated: 0,
      passivated: 0,
      activationFailed: 0,
    };
    this.kinds.set(name, {
      name,
      definition,
      activations: new Map(),
      parked: new Map(),
      stats,
    });
  }

  get activations(): number {
    let sum = 0;
    for (const kind of this.kinds.values()) sum += kind.activations.size;
    return sum;
  }

  /** In the store, of actors that a fail-over would wake. */
  get wakeRows(): number {
    return this.#wake.size;
  }

  // ---- mail in

  /** Puts mail into the actor's mailbox, activating it if need be. Fails it with MOVED when the shard is not here. */
  deliver(kind: Kind, id: string, mail: Mail): void {
    const activation = kind.activations.get(id);
    if (activation !== undefined) activation.enqueue(mail);
    else {
      const fresh = this.#activate(kind, id, mail.method.name);
      if (fresh === undefined) this.#notHere(kind, id, mail);
      else fresh.enqueue(mail);
    }
  }

  #notHere(kind: Kind, id: string, mail: Mail): void {
    const parked = kind.parked.get(id);
    if (parked !== undefined && parked.untilMs > this.clock.monotonicMs()) {
      mail.fail(
        runtimeErrors.OVERLOADED({
          message: `${kind.name} ${id} cannot be activated; it is left alone for a while`,
          retryAfterMs: Math.ceil(parked.untilMs - this.clock.monotonicMs()),
        }),
      );
    } else mail.fail(runtimeErrors.MOVED());
  }

  schedule(activation: Activation, mail: Mail): void {
    if (this.#runMails.length >= this.settings.nodeMessagesMax + TURNS_A_GO) {
      mail.fail(runtimeErrors.OVERLOADED({ retryAfterMs: 100, message: "the node has too much mail" }));
      return;
    }
    activation.scheduled += 1;
    this.#runActivations.push(activation);
    this.#runMails.push(mail);
    if (this.#draining) return;
    this.#draining = true;
    queueMicrotask(this.#drain);
  }

  readonly #drain = (): void => {
    let turn = 0;
    // New mail may be pushed while this loop runs.
    for (; turn < this.#runMails.length && turn < TURNS_A_GO; turn++) {
      (this.#runActivations[turn] as Activation).run(this.#runMails[turn] as Mail);
    }
    if (turn === this.#runMails.length) {
      this.#runActivations = [];
      this.#runMails = [];
      this.#draining = false;
    } else {
      this.#runActivations = this.#runActivations.slice(turn);
      this.#runMails = this.#runMails.slice(turn);
      this.clock.soon(this.#drain);
    }
  };

  turnFailed(activation: Activation, mail: Mail, error: unknown): void {
    activation.kind.stats.failed += 1;
    if (toMadangError(error).code !== "INTERNAL") return;
    this.#options.log.error({ ...factsOf(activation, error), method: mail.method.name }, "a turn failed");
  }

  // ---- activation

  #activate(kind: Kind, id: string, activatedFor = ""): Activation | undefined {
    const state = this.#shards[shardOf(id, this.settings.shardCount)];
    if (state === undefined || state.phase === "leaving") return undefined;
    const parked = kind.parked.get(id);
    if (parked !== undefined && parked.untilMs > this.clock.monotonicMs()) return undefined;
    const activation = new Activation(kind, id, state.tenure, activatedFor, this);
    kind.activations.set(id, activation);
    void this.#bringUp(activation);
    return activation;
  }

  async #bringUp(activation: Activation): Promise<void> {
    const { kind } = activation;
    try {
      const { definition } = kind;
      const claimed = this.#claimed(activation.tenure);
      const reading = definition.readAhead && this.#activating(() => definition.readAhead?.(activation.id));
      const [ahead] = await Promise.all([reading, claimed]);
      const actor = await this.#activating(() => definition.activate(activation, ahead));
      if (activation.phase !== "activating") return; // the shard was lost meanwhile
      kind.stats.activated += 1;
      kind.parked.delete(activation.id);
      activation.activated(actor as Actor);
    } catch (thrown) {
      const error = toMadangError(thrown);
      const lost = error.code === "SHARD_LOST"; // what happens while shards move, and nothing is wrong
      if (lost) this.#options.log.debug(factsOf(activation, error), "a shard was lost while an actor of it activated");
      else this.#failed(activation, error);
      if (kind.activations.get(activation.id) === activation) kind.activations.delete(activation.id);
      activation.gone(lost ? runtimeErrors.MOVED() : error); // none of its mail has run: it is asked elsewhere
      if (activation.unfinished) this.#wakeAgain(activation);
    }
  }

  /** Somebody waits for what this actor left unfinished, so a failed activation is not the end of it. */
  #wakeAgain(activation: Activation): void {
    this.clock.after(this.settings.parkMs, () => {
      const { kind, id, tenure } = activation;
      if (this.#shards[tenure.shard]?.tenure !== tenure || kind.activations.has(id)) return;
      this.#activate(kind, id)?.setUnfinished(true);
    });
  }

  #failed(activation: Activation, error: MadangError): void {
    const { kind, id } = activation;
    this.#options.log.error(factsOf(activation, error), "an actor failed to activate");
    kind.stats.activationFailed += 1;
    if (!error.retryable) this.#park(kind, id);
  }

  #park(kind: Kind, id: string): void {
    const nowMs = this.clock.monotonicMs();
    let parked = kind.parked.get(id);
    if (parked === undefined || nowMs - parked.firstAtMs > this.settings.parkWindowMs) {
      parked = { failures: 0, firstAtMs: nowMs, untilMs: 0 };
      kind.parked.set(id, parked);
    }
    parked.failures += 1;
    if (parked.failures >= this.settings.parkAfterFailures) parked.untilMs = nowMs + this.settings.parkMs;
  }

  // ---- shards

  assign(tenure: Tenure): void {
    this.#shards[tenure.shard] = { phase: "unclaimed", tenure };
  }

  owns(shard: number): boolean {
    const phase = this.#shards[shard]?.phase;
    return phase !== undefined && phase !== "leaving";
  }

  /** Claims a shard that was assigned, and wakes those of its actors that an older owner has left unfinished. */
  async takeOver(tenure: Tenure): Promise<void> {
    await this.#claimed(tenure);
    const rows = await this.#wake.takeOver(tenure);
    for (const row of rows) {
      const slash = row.actor.indexOf("/");
      const kind = this.kinds.get(row.actor.slice(0, slash));
      const id = row.actor.slice(slash + 1);
      if (kind === undefined) continue;
      const activation = kind.activations.get(id) ?? this.#activate(kind, id);
      if (activation === undefined) continue;
      // Until the actor has looked for itself.
      if (activation.phase === "activating") activation.setUnfinished(true);
      this.#wake.adopt(activation, row);
    }
  }

  #claimed(tenure: Tenure): Promise<void> | undefined {
    const state = this.#shards[tenure.shard];
    if (state === undefined || state.tenure !== tenure) throw runtimeErrors.MOVED();
    if (state.phase === "active") return undefined;
    if (state.phase === "claiming") return state.claimed;
    if (state.phase === "leaving") throw runtimeErrors.MOVED();
    const become = (phase: "active" | "unclaimed") => {
      const now = this.#shards[tenure.shard];
      if (now?.phase === "claiming" && now.tenure === tenure) this.#shards[tenure.shard] = { phase, tenure };
    };
    const claimed = this.#options.fence.claim(tenure).then(
      () => become("active"),
      (error) => {
        become("unclaimed"); // the next activation tries again, unless the shard was lost
        throw error;
      },
    );
    this.#shards[tenure.shard] = { phase: "claiming", tenure, claimed };
    return claimed;
  }

  /** Resolves when nothing of the shard runs here any more. */
  async release(tenure: Tenure): Promise<void> {
    const state = this.#shards[tenure.shard];
    if (state === undefined || state.tenure.epoch !== tenure.epoch) return;
    this.#shards[tenure.shard] = { phase: "leaving", tenure: state.tenure };
    const leaving = this.#ofShard(tenure);
    const left = Promise.all(leaving.map((activation) => this.#letGo(activation)));
    await Promise.race([left, pause(this.clock, this.settings.handoffMs)]); // then the fence covers the rest
    for (const activation of leaving) {
      activation.kind.activations.delete(activation.id);
      activation.gone(runtimeErrors.MOVED());
    }
    // The next owner need not wait for it: a row too many only wakes an actor that has nothing to do.
    const clearing = this.#wake.release(state.tenure).finally(() => this.#clearing.delete(clearing));
    this.#clearing.add(clearing);
    if (this.#shards[tenure.shard]?.tenure.epoch === tenure.epoch) this.#shards[tenure.shard] = undefined;
  }

  #lost(tenure: Tenure, highestEpoch: number): void {
    const state = this.#shards[tenure.shard];
    if (state?.tenure.epoch === tenure.epoch) {
      this.#shards[tenure.shard] = undefined;
      this.#wake.forget(state.tenure);
    }
    for (const activation of this.#ofShard(tenure)) {
      activation.leave();
      this.#tellLost(activation);
      activation.kind.activations.delete(activation.id);
      activation.gone(runtimeErrors.MOVED());
    }
    this.#options.onLost(tenure, highestEpoch);
  }

  /** One that fails does not keep the others from hearing. */
  #tellLost(activation: Activation): void {
    try {
      activation.actor?.lost?.();
    } catch (error) {
      this.#options.log.error(factsOf(activation, error), "an actor failed to let go of what was lost");
    }
  }

  /** For actors that wait for an answer to one-way mail: it will not come from those who are affected. */
  mailLost(isAffected: (actorId: string) => boolean): void {
    for (const kind of this.kinds.values()) {
      for (const { phase, actor } of kind.activations.values()) {
        if (phase === "active") actor?.mailLost?.(isAffected);
      }
    }
  }

  /** The directory says that the shard is elsewhere already: as lost, but nobody needs to be told. */
  revoke(tenure: Tenure): void {
    // What it has in flight ends with the tenure, so that nothing of it is told as kept.
    this.#options.fence.lose(tenure, tenure.epoch);
    this.#lost(tenure, tenure.epoch); // also if it was never claimed
  }

  #ofShard(tenure: Tenure): Activation[] {
    const found: Activation[] = [];
    for (const kind of this.kinds.values()) {
      for (const activation of kind.activations.values()) {
        if (activation.tenure.shard === tenure.shard && activation.tenure.epoch === tenure.epoch)
          found.push(activation);
      }
    }
    return found;
  }

  /** For a shard that leaves (H2). */
  async #letGo(activation: Activation): Promise<void> {
    if (activation.phase === "activating") activation.gone(runtimeErrors.MOVED());
    if (activation.phase !== "active") return;
    await activation.drain();
    await this.#deactivate(activation);
  }

  async #deactivate(activation: Activation): Promise<void> {
    const { kind, id } = activation;
    activation.leave();
    try {
      await activation.actor?.deactivate?.();
    } catch (error) {
      this.#options.log.error({ actor: `${kind.name}/${id}`, error }, "an actor failed to deactivate");
    }
    if (activation.phase === "gone") return; // it took too long, and the shard has left without it
    if (kind.activations.get(id) === activation) kind.activations.delete(id);
    const waiting = activation.takeWaiting();
    activation.gone(undefined);
    kind.stats.passivated += 1;
    for (const mail of waiting) this.deliver(kind, id, mail);
  }

  // ---- leaving memory

  registerWake(activation: Activation): Promise<void> | undefined {
    return this.#wake.register(activation);
  }

  verify(tenure: Tenure): Promise<void> {
    return this.#options.fence.verify(tenure);
  }

  #armSweep(): void {
    this.#sweep = this.clock.after(this.settings.sweepEveryMs, () => {
      this.sweptAtMs = Math.floor(this.clock.monotonicMs()); // an integer takes no memory of its own in each activation
      for (const kind of this.kinds.values()) this.#sweepKind(kind);
      this.#wake.sweep();
      this.#armSweep();
    });
  }

  #sweepKind(kind: Kind): void {
    for (const [id, parked] of kind.parked) {
      if (this.sweptAtMs - parked.firstAtMs > this.settings.parkWindowMs && parked.untilMs < this.sweptAtMs) {
        kind.parked.delete(id);
      }
    }
    const crowded =
      this.activations > this.settings.activationsMax || this.#options.heapShare() > this.settings.heapShareMax;
    // Crowded, idleness of one sweep is enough; the map's order of insertion makes the oldest come first.
    const idleMs = crowded ? this.settings.sweepEveryMs : kind.definition.passivateAfterMs;
    let sweep = this.#sweeps.get(kind);
    if (sweep === undefined) {
      sweep = kind.activations.values();
      this.#sweeps.set(kind, sweep);
    }
    for (let looked = 0; looked < SWEEP_ACTIVATIONS; looked++) {
      const next = sweep.next();
      if (next.done) {
        this.#sweeps.delete(kind);
        return;
      }
      const activation = next.value;
      if (!activation.idle) continue;
      const { actor } = activation;
      const quietMs = this.sweptAtMs - activation.lastUsedMs;
      if (quietMs >= idleMs && (actor?.canPassivate?.() ?? true)) void this.#deactivate(activation);
      else if (quietMs >= this.settings.restAfterMs) actor?.rest?.();
    }
  }

  /** Lets every shard go, as for a hand-off. */
  async close(): Promise<void> {
    this.#sweep?.cancel();
    const tenures = this.#shards.flatMap((state) => (state === undefined ? [] : [state.tenure]));
    await Promise.all(tenures.map((tenure) => this.release(tenure)));
    await Promise.all(this.#clearing);
  }
}

const factsOf = ({ kind, id }: Activation, error: unknown) => ({ actor: `${kind.name}/${id}`, error });
