// Between the SDK and its store: gathers changes while a write is under way, so that a burst of sends costs one write, and
// remembers what could not be written.

import type { Clock, Timer } from "../ports.ts";
import type { ClientStore, StoreChange } from "./port.ts";

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface KeeperOptions {
  readonly store: ClientStore;
  readonly clock: Clock;
  readonly retryMs: number;
  readonly onFailure: (error: unknown) => void;
}

export class Keeper {
  readonly #options: KeeperOptions;
  /** Newest value of each record that is not kept yet. Bounded by the records that there are. */
  #pending = new Map<string, Uint8Array | undefined>();
  #waiters: Waiter[] = [];
  #writing: Promise<void> | undefined;
  #retry: Timer | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Nobody waits for these; a failure is tried again. */
  put(changes: readonly StoreChange[]): void {
    for (const { key, value } of changes) this.#pending.set(key, value);
    this.#start();
  }

  /** Resolves when these, and all that were put before, are kept; rejects when the write that took them failed. */
  keep(changes: readonly StoreChange[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.put(changes);
    });
  }

  /** Resolves when nothing waits, or the store has failed. */
  async flush(): Promise<void> {
    this.#start();
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    this.#retry?.cancel();
    await this.#options.store.close();
  }

  #start(): void {
    if (this.#pending.size === 0 && this.#waiters.length === 0) return;
    // The write begins after this turn, so that all changes of the turn are in it.
    this.#writing ??= Promise.resolve().then(() => this.#run());
  }

  async #run(): Promise<void> {
    this.#retry?.cancel();
    this.#retry = undefined;
    while (this.#pending.size > 0 || this.#waiters.length > 0) {
      const changes = this.#pending;
      const waiters = this.#waiters;
      this.#pending = new Map();
      this.#waiters = [];
      try {
        await this.#options.store.write([...changes].map(([key, value]) => ({ key, value })));
        for (const { resolve } of waiters) resolve();
      } catch (error) {
        for (const [key, value] of changes) if (!this.#pending.has(key)) this.#pending.set(key, value);
        for (const { reject } of waiters) reject(error);
        this.#retry = this.#options.clock.after(this.#options.retryMs, () => this.#start());
        this.#options.onFailure(error);
        break;
      }
    }
    this.#writing = undefined;
  }
}
