// What members have received and read, gathered for a moment and told together. It is kept for nobody.
//
// (R1) Nobody is told of oneself.
// (R2) One mark a member waits, the highest: so there are never more than members.

import { type Receipt, Shed, type UserService } from "../../proto/index.ts";
import type { ActorContext, References, Timer } from "../../runtime/index.ts";
import { receiptFrames } from "../frames.ts";
import type { Audience } from "./audience.ts";

export interface ReceiptsOptions {
  readonly channelId: string;
  readonly context: ActorContext;
  readonly users: References<typeof UserService>;
  readonly receiptFlushMs: number;
  /** The members as they are. */
  readonly members: () => Audience;
}

export class Receipts {
  readonly #options: ReceiptsOptions;
  /** By user. */
  #marks = new Map<number, Receipt>();
  #window: Timer | undefined;

  constructor(options: ReceiptsOptions) {
    this.#options = options;
  }

  add(userId: number, deliveredId: number, readId: number): void {
    const { channelId, context, receiptFlushMs } = this.#options;
    const before = this.#marks.get(userId);
    this.#marks.set(userId, {
      channelId,
      userId,
      deliveredId: Math.max(deliveredId, before?.deliveredId ?? 0),
      readId: Math.max(readId, before?.readId ?? 0),
    });
    this.#window ??= context.after(receiptFlushMs, () => this.flush());
  }

  flush(): void {
    this.stop();
    if (this.#marks.size === 0) return;
    const { users, members } = this.#options;
    const { recipients } = members();
    const told = recipients.flatMap(({ userId }) => this.#marks.get(userId) ?? []); // who has left meanwhile is not there
    const others = recipients.filter(({ userId }) => !this.#marks.has(userId)).map(({ key }) => key);
    this.#marks = new Map();
    const frameWithout = receiptFrames(told);
    const common = frameWithout(0);
    if (common === undefined) return;
    users.many(others).signal({ frame: common, shed: Shed.RECEIPT });
    for (const { userId } of told) {
      const frame = frameWithout(userId); // (R1)
      if (frame !== undefined) users(String(userId)).signal({ frame, shed: Shed.RECEIPT });
    }
  }

  stop(): void {
    this.#window?.cancel();
    this.#window = undefined;
  }
}
