// Who wants to be told about a user, each with a lease, in two flat arrays: an online user with fifty friends has fifty of
// these, and a map would take four times the memory.

export class Watchers {
  #ids: number[] = [];
  #untilMs: number[] = [];

  get size(): number {
    return this.#ids.length;
  }

  /** False if there are `max` already. */
  add(id: number, untilMs: number, max: number): boolean {
    const at = this.#ids.indexOf(id);
    if (at >= 0) this.#untilMs[at] = Math.ceil(untilMs);
    else if (this.#ids.length >= max) return false;
    else {
      this.#ids.push(id);
      this.#untilMs.push(Math.ceil(untilMs)); // an integer, which needs no memory of its own
    }
    return true;
  }

  remove(id: number): void {
    const at = this.#ids.indexOf(id);
    if (at < 0) return;
    this.#ids.splice(at, 1);
    this.#untilMs.splice(at, 1);
  }

  /** Those whose lease has not ended; the others are forgotten. */
  live(nowMs: number): readonly number[] {
    if (this.#untilMs.some((untilMs) => untilMs <= nowMs)) {
      this.#ids = this.#ids.filter((_, at) => (this.#untilMs[at] as number) > nowMs);
      this.#untilMs = this.#untilMs.filter((untilMs) => untilMs > nowMs);
    }
    return this.#ids;
  }
}
