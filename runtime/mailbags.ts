// What leaves for other nodes. Envelopes gather in bags, one for each receiver and lane; a bag leaves as one batch at the end of
// this turn of the event loop, or before, with an answer. Batches of a link are numbered, and cut where they are too large for
// one message of the network (links.ts).

import { Batch, type Envelope, type Call as WireCall } from "../proto/index.ts";
import type { Clock, Timer } from "./clock.ts";
import { LinksOut } from "./links.ts";
import { isServiceId } from "./services.ts";
import type { RuntimeSettings } from "./settings.ts";
import { LANES } from "./shard.ts";
import type { Transport } from "./transport/port.ts";

/** Raised when the meaning of a field changes; nodes read this and the one before. */
export const PROTOCOL = 1;

/** Counters of a lane, to and from all nodes, since the start. */
export interface LaneStats {
  batchesIn: number;
  batchesOut: number;
  bytesIn: number;
  bytesOut: number;
  lostIn: number;
  lostOut: number;
}

/**
 * Of the calls in a bag: their numbers, and those that were passed on for services, without their payload. The transport
 * remembers for seconds whom to tell that a batch was not delivered, and most calls are answered long before: what it
 * remembers holds no call.
 */
export type NotDelivered = (callIds: readonly number[], passedOn: readonly WireCall[]) => void;

export interface MailbagsOptions {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly settings: RuntimeSettings;
  readonly lanes: readonly LaneStats[];
  readonly onNotDelivered: NotDelivered;
}

interface Bag {
  readonly to: string;
  readonly lane: number;
  readonly envelopes: Envelope[];
  readonly callIds: number[];
  /** Most bags have none. */
  passedOn: WireCall[] | undefined;
  /** About what the batch will have, encoded. */
  bytes: number;
}

const nothing = new Uint8Array(0);
const none: readonly never[] = [];
const noPieces = { piece: nothing, piecesBefore: 0, piecesLeft: 0 };
const ignore = () => {};
/** What an envelope takes beside its payload, about. */
const ENVELOPE_BYTES = 96;
/** What stands around a piece. */
const PIECE_ROOM_BYTES = 64;
/** With more of them than that, those who are written to are remembered anew: most of them are services that have left. */
const RECEIVERS_MAX = 1_000;

export class Mailbags {
  readonly #clock: Clock;
  readonly #transport: Transport;
  readonly #settings: RuntimeSettings;
  readonly #lanes: readonly LaneStats[];
  readonly #onNotDelivered: NotDelivered;
  readonly #links: LinksOut;
  /** In the order in which they were begun. */
  #leaving: Bag[] = [];
  /** By receiver and lane, the bag that still takes something. */
  readonly #open = new Map<string, (Bag | undefined)[]>();
  #hurrying = false;
  #beat: Timer | undefined;

  constructor({ clock, transport, settings, lanes, onNotDelivered }: MailbagsOptions) {
    this.#clock = clock;
    this.#transport = transport;
    this.#settings = settings;
    this.#lanes = lanes;
    this.#onNotDelivered = onNotDelivered;
    this.#links = new LinksOut(settings.linkBeatsAfterUse);
    this.#armBeat();
  }

  put(to: string, lane: number, envelope: Envelope, payloadBytes: number, callId = 0): void {
    const bag = this.#bagFor(to, lane, payloadBytes + ENVELOPE_BYTES);
    bag.envelopes.push(envelope);
    if (callId !== 0) bag.callIds.push(callId);
  }

  /** A call of a service, for the node that owns the actor. */
  passOn(to: string, lane: number, call: WireCall): void {
    const bag = this.#bagFor(to, lane, call.payload.byteLength + ENVELOPE_BYTES);
    bag.envelopes.push({ call: { ...call, hops: call.hops + 1 } });
    if (call.callId === 0) return;
    bag.passedOn ??= [];
    bag.passedOn.push({ ...call, payload: nothing });
  }

  /** Somebody waits for what was put: all leaves soon. What is answered together (by one verify, to one batch) is in by then. */
  hurry(): void {
    if (this.#hurrying) return;
    this.#hurrying = true;
    this.#clock.next(() => {
      this.#hurrying = false;
      this.#flush();
    });
  }

  /** Without a number, at once: for somebody who is not to become one of those whom this node has written to. */
  sendBeside(to: string, lane: number, envelopes: readonly Envelope[]): void {
    const batch = { protocol: PROTOCOL, link: 0, envelopes: [...envelopes], ...noPieces };
    this.#hand(to, lane, Batch.encode(batch).finish(), ignore);
  }

  /** This node has written to it, since it was last forgotten. */
  knows(nodeId: string): boolean {
    return this.#links.has(nodeId);
  }

  forget(nodeId: string): void {
    this.#links.forget(nodeId);
  }

  close(): void {
    this.#beat?.cancel();
  }

  #bagFor(to: string, lane: number, bytes: number): Bag {
    let lanes = this.#open.get(to);
    if (lanes === undefined) {
      lanes = new Array<Bag | undefined>(LANES).fill(undefined);
      this.#open.set(to, lanes);
    }
    let bag = lanes[lane];
    if (bag === undefined || bag.bytes + bytes > this.#settings.batchBytesSoft) {
      if (this.#leaving.length === 0) this.#clock.soon(() => this.#flush());
      bag = { to, lane, envelopes: [], callIds: [], passedOn: undefined, bytes: 0 };
      lanes[lane] = bag;
      this.#leaving.push(bag);
    }
    bag.bytes += bytes;
    return bag;
  }

  #flush(): void {
    const leaving = this.#leaving;
    this.#leaving = [];
    for (const { to, lane } of leaving) (this.#open.get(to) as (Bag | undefined)[])[lane] = undefined;
    if (this.#open.size > RECEIVERS_MAX) this.#open.clear(); // nothing is open at this moment
    for (const bag of leaving) this.#send(bag);
  }

  #send({ to, lane, envelopes, callIds, passedOn }: Bag): void {
    const whole = { protocol: PROTOCOL, link: this.#nextNumber(to, lane), envelopes, ...noPieces };
    const bytes = Batch.encode(whole).finish();
    const failed = () => this.#onNotDelivered(callIds, passedOn ?? none);
    const room = this.#transport.messageBytesMax - PIECE_ROOM_BYTES;
    if (bytes.byteLength <= room) return this.#hand(to, lane, bytes, failed);
    // Its own number is that of the first piece; the others follow.
    const count = Math.ceil(bytes.byteLength / room);
    for (let at = 0; at < count; at++) {
      const link = at === 0 ? whole.link : this.#nextNumber(to, lane);
      const piece = bytes.subarray(at * room, (at + 1) * room);
      const part = { protocol: PROTOCOL, link, envelopes: [], piece, piecesBefore: at, piecesLeft: count - 1 - at };
      this.#hand(to, lane, Batch.encode(part).finish(), failed);
    }
  }

  /** Services come and go, and hold no links: what they are told has no number. */
  #nextNumber(to: string, lane: number): number {
    return isServiceId(to) ? 0 : this.#links.next(to, lane);
  }

  #hand(to: string, lane: number, bytes: Uint8Array, failed: () => void): void {
    const counts = this.#lanes[lane] as LaneStats;
    counts.batchesOut += 1;
    counts.bytesOut += bytes.byteLength;
    this.#transport.send(to, lane, bytes, failed);
  }

  #armBeat(): void {
    this.#beat = this.#clock.after(this.#settings.linkBeatMs, () => {
      this.#links.beat((to, lane, link) => {
        const beat = Batch.encode({ protocol: PROTOCOL, link, envelopes: [], ...noPieces }).finish();
        this.#hand(to, lane, beat, ignore);
      });
      this.#armBeat();
    });
  }
}
