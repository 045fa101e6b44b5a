// Tickets are for one connection. The user's actor is the one place that every use of a user's tickets passes, so what was used
// is remembered on its node until it is no longer valid anyway: one book for all users, for most of them have nothing in it.
// (A ticket that was used just before its owner node died, or lost the shard, could be used again until it expires.)

/** What a node can be asked to remember within the life of a ticket; beyond it the oldest ticket is forgotten. */
const REMEMBERED_MAX = 200_000;

export class UsedTickets {
  /** In the order of use, which is about that of expiry: all tickets live equally long. */
  readonly #expiresMs = new Map<string, number>();

  /** False if it was used before. */
  use(ticketId: string, expiresMs: number, nowMs: number): boolean {
    for (const [oldest, expires] of this.#expiresMs) {
      if (expires >= nowMs && this.#expiresMs.size < REMEMBERED_MAX) break;
      this.#expiresMs.delete(oldest);
    }
    if (this.#expiresMs.has(ticketId)) return false;
    this.#expiresMs.set(ticketId, expiresMs);
    return true;
  }
}
