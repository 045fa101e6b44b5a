// Log-ins of a user that have ended. One that has ended never opens again, so its name is kept without a time: until newer
// ones take its place, or the actor leaves memory. It covers the moment between an edge's look at the accounts and the
// attachment that follows; the accounts remember for ever.

/** Log-ins of one user that end within such a moment; beyond it the oldest is forgotten. */
const REMEMBERED_MAX = 200;

export class EndedLogIns {
  readonly #loginIds = new Set<string>();

  add(loginId: string): void {
    this.#loginIds.add(loginId);
    if (this.#loginIds.size <= REMEMBERED_MAX) return;
    for (const oldest of this.#loginIds) {
      this.#loginIds.delete(oldest);
      return;
    }
  }

  has(loginId: string): boolean {
    return this.#loginIds.has(loginId);
  }
}
