// Who has to get which entries, and who has confirmed: the fan-out's book-keeping.
//
// (A1) `confirmedThrough` never passes an entry that one of its audience has not confirmed.
// (A2) Confirmations may come late, doubled and in any order.

export interface Recipient {
  readonly userId: number;
  /** The name of the user's actor. */
  readonly key: string;
  /** Newest entry that was handed to the user's actor; 0 before the first. */
  sent: number;
  confirmed: number;
}

export interface Audience {
  readonly recipients: readonly Recipient[];
  /** The names of their actors, for multicast. */
  readonly keys: readonly string[];
}

export class AudienceBook {
  readonly #recipients = new Map<number, Recipient>();
  #sentThrough: number;
  #outstanding = 0;

  /** @param through the entry up to which everybody has confirmed, as far as is known */
  constructor(through: number) {
    this.#sentThrough = through;
  }

  /** The same users give the same recipients, so an audience can be made anew whenever the members change. */
  of(userIds: Iterable<number>): Audience {
    const recipients: Recipient[] = [];
    for (const userId of userIds) {
      let recipient = this.#recipients.get(userId);
      if (recipient === undefined) {
        recipient = { userId, key: String(userId), sent: 0, confirmed: 0 };
        this.#recipients.set(userId, recipient);
      }
      recipients.push(recipient);
    }
    return { recipients, keys: recipients.map((recipient) => recipient.key) };
  }

  sent(audience: Audience, firstId: number, lastId: number): void {
    this.#sentThrough = lastId;
    for (const recipient of audience.recipients) {
      if (recipient.confirmed === recipient.sent) {
        this.#outstanding += 1;
        recipient.confirmed = Math.max(recipient.confirmed, firstId - 1);
      }
      recipient.sent = lastId;
    }
  }

  confirm(userId: number, throughId: number): void {
    const recipient = this.#recipients.get(userId);
    if (recipient === undefined || throughId <= recipient.confirmed) return;
    const waited = recipient.confirmed < recipient.sent;
    recipient.confirmed = Math.min(throughId, recipient.sent);
    if (waited && recipient.confirmed === recipient.sent) this.#outstanding -= 1;
  }

  get sentThrough(): number {
    return this.#sentThrough;
  }

  get complete(): boolean {
    return this.#outstanding === 0;
  }

  get confirmedThrough(): number {
    if (this.#outstanding === 0) return this.#sentThrough;
    let through = this.#sentThrough;
    for (const { sent, confirmed } of this.#recipients.values()) {
      if (confirmed < sent) through = Math.min(through, confirmed);
    }
    return through;
  }

  confirmedBy(userId: number): number {
    const recipient = this.#recipients.get(userId);
    if (recipient === undefined || recipient.confirmed === recipient.sent) return this.#sentThrough;
    return recipient.confirmed;
  }
}
