// The transport on core NATS. A batch carries the subject on which its sender hears that nobody listened, and by which the
// receiver knows the sender.
//
// Whether a batch was delivered is known only when it was not: the connection is away, too much waits for the server, or the
// server saw nobody who listens. The last is no proof of death: interest spreads between servers with a delay.

import type { Clock } from "../clock.ts";
import type { Nats } from "../nats/connection.ts";
import { isToken, ROUTE_QUEUE, type Subjects, tokenOf } from "../nats/subjects.ts";
import { LANES } from "../shard.ts";
import type { Transport, TransportEvents } from "./port.ts";

export interface NatsTransportOptions {
  readonly nats: Nats;
  readonly subjects: Subjects;
  readonly nodeId: string;
  readonly clock: Clock;
  /** Takes what services send to any node: nodes that know the owners of actors. */
  readonly routes: boolean;
}

export interface NatsTransport extends Transport {
  readonly stats: { readonly strange: number; readonly unsent: number };
}

/** A server that sees nobody listen says so within a round trip; after two of these spans it will not any more. */
const NACK_SPAN_MS = 2_000;
/** Largest batch that is sent: below what servers take by default, so that a mixed cluster agrees. */
const MESSAGE_BYTES_MAX = 1_000_000;
const ID_AT = 3;
const LANE_AT = 4;
const NACK_AT = 5;
const SERVICE_AT = 3;

export function createNatsTransport(options: NatsTransportOptions): NatsTransport {
  return new OnNats(options);
}

class OnNats implements NatsTransport {
  readonly messageBytesMax: number;
  readonly stats = { strange: 0, unsent: 0 };
  readonly #options: NatsTransportOptions;
  #lastBatch = 0;
  /** Those who want to know that a batch was not delivered: of this span, and of the one before. */
  #young = new Map<number, () => void>();
  #old = new Map<number, () => void>();
  #rotating = false;

  constructor(options: NatsTransportOptions) {
    this.#options = options;
    this.messageBytesMax = Math.min(options.nats.messageBytesMax, MESSAGE_BYTES_MAX);
  }

  open(events: TransportEvents): void {
    const { nats, subjects, nodeId, routes } = this.#options;
    nats.subscribe(subjects.inbound(nodeId), undefined, (message) => {
      const { subject, reply, data } = message;
      const lane = tokenOf(subject, LANE_AT);
      if (lane === "nack") return this.#nacked(Number(tokenOf(subject, NACK_AT)));
      const from = reply === undefined ? "" : tokenOf(reply, ID_AT);
      const at = lane.length === 1 ? lane.charCodeAt(0) - 48 : -1;
      if (from === "" || at < 0 || at >= LANES) this.stats.strange += 1;
      else events.onBatch(from, at, data);
    });
    if (!routes) return;
    nats.subscribe(subjects.routes, ROUTE_QUEUE, ({ subject, data }) => {
      events.onRequest(tokenOf(subject, SERVICE_AT), data);
    });
  }

  send(to: string, lane: number, bytes: Uint8Array, notDelivered: () => void): void {
    const { nats, subjects, nodeId } = this.#options;
    const batch = ++this.#lastBatch;
    // Who is told of something may have given the id himself, as a service that follows does: it must not become a subject
    // that stands for something else.
    if (isToken(to) && nats.publish(subjects.lane(to, lane), bytes, subjects.nack(nodeId, batch))) {
      this.#young.set(batch, notDelivered);
      if (!this.#rotating) this.#rotate();
    } else {
      this.stats.unsent += 1;
      notDelivered();
    }
  }

  #nacked(batch: number): void {
    const notDelivered = this.#young.get(batch) ?? this.#old.get(batch);
    this.#young.delete(batch);
    this.#old.delete(batch);
    notDelivered?.();
  }

  #rotate(): void {
    this.#rotating = true;
    this.#options.clock.after(NACK_SPAN_MS, () => {
      this.#old = this.#young;
      this.#young = new Map();
      this.#rotating = false;
      if (this.#old.size > 0) this.#rotate();
    });
  }

  /** The connection is closed by whoever opened it. */
  async close(): Promise<void> {
    this.#young.clear();
    this.#old.clear();
  }
}
