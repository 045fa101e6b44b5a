// Where this device stands in its inbox. Pure: frames go in, and whether a sync is needed comes out.
//
// (R1) The cursor moves by a delivery only when the delivery's `prev` is the cursor; else something is missing.
// (R2) While a sync runs nothing moves: deliveries are remembered and followed after CaughtUp.
// (R3) Everything at or below the cursor was handed to this device.

interface Step {
  readonly prev: number;
  readonly version: number;
}

/**
 * following: each delivery moves the cursor, or shows a gap. syncing: pointers are on their way and a CaughtUp ends them;
 * `again` asks for one more sync after it.
 */
type Phase = { readonly name: "following" } | { readonly name: "syncing"; readonly chain: Step[]; again: boolean };

const following: Phase = { name: "following" };

export class Cursor {
  #value: number;
  #phase: Phase = following;
  readonly #chainMax: number;

  constructor(value: number, chainMax: number) {
    this.#value = value;
    this.#chainMax = chainMax;
  }

  get value(): number {
    return this.#value;
  }
  get syncing(): boolean {
    return this.#phase.name === "syncing";
  }

  /** What the store has. */
  restore(value: number): void {
    this.#value = value;
  }

  /** Hello or Sync has been sent. */
  startSync(): void {
    this.#phase = { name: "syncing", chain: [], again: false };
  }

  /** The connection is gone, and with it the answer to a sync. */
  stopSync(): void {
    this.#phase = following;
  }

  /** The server does not know the cursor: everything follows. */
  dropAll(): void {
    this.#value = 0;
  }

  /** True: a sync has to be asked for. */
  deliver({ prev, version }: Step): boolean {
    const phase = this.#phase;
    if (phase.name === "syncing") {
      if (phase.chain.length < this.#chainMax) phase.chain.push({ prev, version });
      else phase.again = true;
      return false;
    }
    return this.#follow({ prev, version });
  }

  /** The server dropped pushes. True: a sync has to be asked for now; else it follows the one that runs. */
  needSync(): boolean {
    if (this.#phase.name === "following") return true;
    this.#phase.again = true;
    return false;
  }

  /** True: another sync has to be asked for. */
  caughtUp(cursor: number): boolean {
    const phase = this.#phase;
    this.#phase = following;
    this.#value = Math.max(this.#value, cursor);
    if (phase.name === "following") return false;
    let again = phase.again;
    for (const step of phase.chain) again = this.#follow(step) || again;
    return again;
  }

  /** (R1) */
  #follow({ prev, version }: Step): boolean {
    if (version <= this.#value) return false; // told before
    if (prev !== this.#value) return true;
    this.#value = version;
    return false;
  }
}
