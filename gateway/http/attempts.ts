// Counts attempts by address within a window, for so many addresses at once.
//
// Each API node counts for itself: this is the fence against a flood, and must cost nothing that a flood could wear out. Over n
// nodes an address has up to n times as many attempts. What guards a password is the count by name, which is kept with the
// accounts and so is one for all nodes (AccountStore.takeAttempt).

import type { Clock } from "../../runtime/index.ts";
import { httpErrors } from "./errors.ts";

interface Counted {
  count: number;
  readonly sinceMs: number;
}

export class Attempts {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #rememberedMax: number;
  readonly #counted = new Map<string, Counted>();

  constructor(clock: Clock, windowMs: number, rememberedMax: number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#rememberedMax = rememberedMax;
  }

  /** Throws TOO_MANY_REQUESTS when `who` has had `max` attempts within the window. */
  take(who: string, max: number): void {
    const nowMs = this.#clock.monotonicMs();
    let counted = this.#counted.get(who);
    if (counted === undefined || nowMs - counted.sinceMs >= this.#windowMs) {
      this.#counted.delete(who);
      counted = { count: 0, sinceMs: nowMs };
      this.#counted.set(who, counted);
      this.#forgetOldest();
    }
    counted.count += 1;
    if (counted.count <= max) return;
    const retryAfterMs = Math.ceil(this.#windowMs - (nowMs - counted.sinceMs));
    throw httpErrors.TOO_MANY_REQUESTS({ retryAfterMs });
  }

  #forgetOldest(): void {
    for (const oldest of this.#counted.keys()) {
      if (this.#counted.size <= this.#rememberedMax) return;
      this.#counted.delete(oldest);
    }
  }
}

/** Where somebody comes from: an IPv4 address, or the first 64 bits of an IPv6 one, for everybody has 2^64 of those. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const before = groups(head);
  const after = groups(tail ?? "");
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const all = [...before, ...Array<string>(zeros).fill("0"), ...after];
  return `${all.slice(0, 4).join(":")}::/64`;
}
