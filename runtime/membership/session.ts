// This node's place in Consul: a session that is renewed, and the member value that lives as long as it.
//
// (L1) The lease ends leaseMs after the last renewal that was granted was *sent*, by the monotonic clock: before Consul can
//      have ended the session. A node whose lease is over goes on with what it has, and takes nothing new.
// (L2) A session that has ended is made anew, as often as it takes.

import type { Clock, Timer } from "../clock.ts";
import { toMadangError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { PlacementSettings } from "../placement/settings.ts";
import type { PlacementStore } from "../placement/store.ts";
import { encodeValue } from "../placement/values.ts";
import type { Random } from "../random.ts";
import type { Member } from "./port.ts";

export interface MemberSessionOptions {
  readonly store: PlacementStore;
  readonly settings: PlacementSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** As it is now. */
  readonly member: () => Member;
  /** The lease holds again after it was over. */
  readonly onRenewed: () => void;
}

export class MemberSession {
  readonly #options: MemberSessionOptions;
  #session: string | undefined;
  #leaseUntilMs = Number.NEGATIVE_INFINITY;
  #writtenAtMs = Number.NEGATIVE_INFINITY;
  #written: Uint8Array | undefined;
  #renewal: Timer | undefined;
  #write: Timer | undefined;
  #closed = false;
  remade = 0;

  constructor(options: MemberSessionOptions) {
    this.#options = options;
  }

  get leaseOver(): boolean {
    return this.#options.clock.monotonicMs() >= this.#leaseUntilMs;
  }

  /** Rejects when Consul does not let the node in. */
  async open(): Promise<void> {
    await this.#make();
    this.#arm(this.#options.settings.renewEveryMs);
  }

  /** Something of the member has changed. Counts of sessions wait a little; what others must know at once does not. */
  changed(atOnce: boolean): void {
    if (this.#closed || this.#session === undefined) return;
    const { clock, settings } = this.#options;
    if (this.#write !== undefined && !atOnce) return;
    this.#write?.cancel();
    const waitMs = atOnce ? 0 : Math.max(0, this.#writtenAtMs + settings.memberWriteMs - clock.monotonicMs());
    this.#write = clock.after(waitMs, () => {
      this.#write = undefined;
      void this.#put().catch((error) => this.#failed(error));
    });
  }

  /** Consul does not list this node, although its session may live: its data was set back. */
  missing(): void {
    this.#written = undefined;
    this.changed(true);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#renewal?.cancel();
    this.#write?.cancel();
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) await this.#options.store.endSession(session).catch((error) => this.#failed(error));
  }

  #arm(delayMs: number): void {
    if (this.#closed) return;
    // Nodes that started together do not renew together for ever.
    const jitter = 1 - this.#options.random.next() / 10;
    this.#renewal = this.#options.clock.after(delayMs * jitter, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const { store, clock, settings } = this.#options;
    try {
      const sentAtMs = clock.monotonicMs();
      if (this.#session !== undefined && (await store.renewSession(this.#session))) {
        if (this.#written === undefined) await this.#put();
        this.#granted(sentAtMs);
      } else if (!this.#closed) {
        this.remade += 1;
        await this.#make();
      }
      this.#arm(settings.renewEveryMs);
    } catch (error) {
      this.#failed(error);
      this.#arm(settings.renewRetryMs);
    }
  }

  /** (L2) */
  async #make(): Promise<void> {
    const { store, clock, member } = this.#options;
    const { nodeId } = member();
    const old = this.#session;
    if (old !== undefined) await store.endSession(old);
    this.#session = undefined;
    const sentAtMs = clock.monotonicMs();
    const session = await store.openSession(nodeId);
    if (this.#closed) return store.endSession(session);
    this.#session = session;
    this.#written = undefined;
    await this.#put();
    this.#granted(sentAtMs);
  }

  #granted(sentAtMs: number): void {
    const wasOver = this.leaseOver;
    this.#leaseUntilMs = sentAtMs + this.#options.settings.leaseMs;
    if (wasOver && !this.leaseOver) this.#options.onRenewed();
  }

  async #put(): Promise<void> {
    const { store, clock, member } = this.#options;
    if (this.#session === undefined) return;
    const now = member();
    const bytes = encodeValue(now);
    if (this.#written !== undefined && same(this.#written, bytes)) return;
    this.#writtenAtMs = clock.monotonicMs();
    this.#written = undefined; // tried again with the next renewal, if this fails
    if (await store.putMember(now.nodeId, bytes, this.#session)) this.#written = bytes;
    else await this.#unseat(now.nodeId);
  }

  /** An older session of this very node holds its place: a reply was lost when it was made. */
  async #unseat(nodeId: string): Promise<void> {
    const { store } = this.#options;
    const holder = (await store.members()).find((member) => member.nodeId === nodeId);
    if (holder !== undefined && holder.session !== this.#session) await store.endSession(holder.session);
    const bytes = encodeValue(this.#options.member());
    if (this.#session !== undefined && (await store.putMember(nodeId, bytes, this.#session))) this.#written = bytes;
  }

  #failed(error: unknown): void {
    this.#options.log.warn({ error: toMadangError(error) }, "Consul could not be told of this node");
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
