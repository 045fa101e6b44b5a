// How a kind of actor is defined.
//
// A kind is a proto service and a function that makes one of its actors. An actor is a plain object with a method for each
// rpc. Turns: one method at a time runs from its start to the end of what it returns; three ways out of that:
//   - a method that returns a value at once ends its turn at once;
//   - `Later`: the turn ends now, the reply comes when the actor gives it (group commit);
//   - methods that the service marks `readonly` do not hold up the next turn. After an `await` they see newer state.

import type { MethodDescriptor, ServiceDescriptor } from "../proto/index.ts";
import type { Clock, Timer } from "./clock.ts";
import type { Random } from "./random.ts";

/** What a turn knows about the call that it answers. */
export interface Turn {
  /** By the monotonic clock of this node. */
  readonly deadlineAtMs: number;
  readonly traceparent: string;
  /** True once the caller has given up or its time is over. */
  readonly abandoned: boolean;
}

/** A reply that comes after the turn. Resolve or reject it once; the deadline of the call covers a forgotten one. */
export class Later<Reply> {
  #outcome: { readonly reply: Reply } | { readonly error: unknown } | undefined;
  #waiting: { resolve(reply: Reply): void; reject(error: unknown): void } | undefined;

  resolve(reply: Reply): void {
    if (this.#waiting) this.#waiting.resolve(reply);
    else this.#outcome = { reply };
  }

  reject(error: unknown): void {
    if (this.#waiting) this.#waiting.reject(error);
    else this.#outcome = { error };
  }

  /** For the runtime: whom to tell. */
  settle(resolve: (reply: Reply) => void, reject: (error: unknown) => void): void {
    if (this.#outcome === undefined) this.#waiting = { resolve, reject };
    else if ("error" in this.#outcome) reject(this.#outcome.error);
    else resolve(this.#outcome.reply);
  }
}

type Handler<M> =
  M extends MethodDescriptor<infer Request, infer Reply>
    ? M extends { readonly oneway: true }
      ? (request: Request, turn: Turn) => void | Promise<void>
      : (request: Request, turn: Turn) => Reply | Later<Reply> | Promise<Reply | Later<Reply>>
    : never;

/** The methods of a service, as an actor implements them. */
export type Handlers<S extends ServiceDescriptor> = { [Name in keyof S["methods"]]: Handler<S["methods"][Name]> };

/** What the runtime asks of an actor beyond its methods. */
export interface Lifecycle {
  /** False while it should stay in memory though idle: something is attached to it, in flight or unverified. */
  canPassivate?(): boolean;
  /** Nothing has happened for `restAfterMs`, and the actor stays: let go of what can be read again. Called again and again. */
  rest?(): void;
  /**
   * No turn runs any more: write what is left and wait until nothing is in flight. Also called on a hand-off, when
   * canPassivate() was false; not called when the shard was lost.
   */
  deactivate?(): void | Promise<void>;
  /** One-way mail to these actors was lost on the way: say again what nobody has confirmed. */
  mailLost?(isAffected: (actorId: string) => boolean): void;
  /** The tenure is over: drop everything, promise nothing. */
  lost?(): void;
}

export interface ActorContext {
  readonly id: string;
  readonly shard: number;
  readonly epoch: number;
  /** The method that somebody waits for while it is activated; "" if nobody does. */
  readonly activatedFor: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Runs `task` as a turn of this actor, unless it has left memory by then. */
  after(delayMs: number, task: () => void | Promise<void>): Timer;
  /**
   * Undefined if the next owner is certain to wake this actor, should this node die; else resolves when it is. At most one
   * write each ten minutes.
   */
  wakeOnFailover(): Promise<void> | undefined;
  /** Says that nothing is unfinished, or that something is: the runtime keeps or clears the wake rows by it. */
  setUnfinished(unfinished: boolean): void;
  /** Under a read that starts now, this node still owns the shard; else rejects with SHARD_LOST. */
  verify(): Promise<void>;
}

export interface ActorDefinition<S extends ServiceDescriptor = ServiceDescriptor, Ahead = unknown> {
  readonly service: S;
  /** Idle for so long, the actor leaves memory. */
  readonly passivateAfterMs: number;
  /**
   * Reads what activate() is given, while the shard may still be being claimed and an older owner may still be writing: only what
   * may be too old without being wrong. It writes nothing.
   */
  readAhead?(id: string): Promise<Ahead>;
  activate(context: ActorContext, ahead: Ahead): (Handlers<S> & Lifecycle) | Promise<Handlers<S> & Lifecycle>;
}

/** Gives the definition its types; there is no registry behind it. */
export function defineActor<S extends ServiceDescriptor, Ahead = unknown>(
  definition: ActorDefinition<S, Ahead>,
): ActorDefinition<S, Ahead> {
  return definition;
}
