// Typed events: a small emitter. A listener that throws does not keep the others from hearing.

export type Listener<Payload> = (payload: Payload) => void;

export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>();
  readonly #onThrown: (thrown: unknown) => void;

  constructor(onThrown: (thrown: unknown) => void) {
    this.#onThrown = onThrown;
  }

  /** Returns what ends the subscription. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  emit<Name extends keyof Events>(name: Name, payload: Events[Name]): void {
    for (const listener of Array.from(this.#listeners.get(name) ?? [])) {
      try {
        (listener as Listener<Events[Name]>)(payload);
      } catch (thrown) {
        this.#onThrown(thrown);
      }
    }
  }
}
