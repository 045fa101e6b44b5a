// Tickets are for one connection. The user's actor is the one place that every use of a user's tickets passes, so it
// remembers those that were used until they are no longer valid anyway. (A ticket that was used just before its owner node
// died could be used again until it expires.)

/** Connections that one user can make within the life of a ticket; beyond it the oldest ticket is forgotten. */
const REMEMBERED_MAX = 200;

export class UsedTickets {
  readonly #expiresMs = new Map<string, number>();

  /** False if it was used before. */
  use(ticketId: string, expiresMs: number, nowMs: number): boolean {
    for (const [id, expires] of this.#expiresMs) if (expires < nowMs) this.#expiresMs.delete(id);
    if (this.#expiresMs.has(ticketId)) return false;
    if (this.#expiresMs.size >= REMEMBERED_MAX) {
      for (const oldest of this.#expiresMs.keys()) {
        this.#expiresMs.delete(oldest);
        break;
      }
    }
    this.#expiresMs.set(ticketId, expiresMs);
    return true;
  }
}
