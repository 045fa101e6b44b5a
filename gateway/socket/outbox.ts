// What leaves through the sockets. Frames for one socket that come up within one turn of the event loop leave in one write; but
// an answer does not wait for the end of the turn, and takes along what came before it.
//
// (O1) Memory for a slow reader is bounded: above the high-water mark pushes are dropped, and the session is told to sync.
// (O2) A socket for which the library dropped a frame is closed: a later, smaller frame would pass and leave a hole.

import { type PushNotice, ServerFrame } from "../../proto/index.ts";
import type { Clock } from "../../runtime/index.ts";
import type { GatewaySettings } from "../settings.ts";
import { deliveryFrame } from "./delivery.ts";
import { type Outgoing, phases, type Session } from "./session.ts";

/** What `send` of the library answers when it dropped the frame. */
const DROPPED = 2;
const syncNeeded = ServerFrame.encode({ request: 0, syncNeeded: {} }).finish();

export class Outbox {
  readonly stats = { frames: 0, bytes: 0, writes: 0, fellBehind: 0, droppedPushes: 0, deadSockets: 0 };
  readonly #clock: Clock;
  readonly #settings: GatewaySettings;
  #dirty: Session[] = [];
  #armed = false;
  #answered: Session[] = [];
  #sending: Session | undefined;

  constructor(clock: Clock, settings: GatewaySettings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /** A whole frame that somebody waits for. */
  answer(session: Session, bytes: Uint8Array): void {
    this.#put(session, bytes);
    if (this.#answered.length === 0) this.#clock.next(this.#flushAnswered);
    this.#answered.push(session);
  }

  /** A whole frame that is told. */
  frame(session: Session, bytes: Uint8Array): void {
    this.#put(session, bytes);
  }

  push(session: Session, notice: PushNotice): void {
    const { phase } = session;
    if (phase.name === "open") this.#put(session, notice);
    else if (phase.name === "attaching") {
      if (phase.held.length < this.#settings.heldPushesMax) phase.held.push(notice);
      else phase.overflowed = true;
    } else this.stats.droppedPushes += 1;
  }

  #put(session: Session, what: Outgoing): void {
    if (session.socket === undefined) return;
    if (session.pending === undefined) {
      session.pending = [];
      this.#dirty.push(session);
      if (!this.#armed) {
        this.#armed = true;
        this.#clock.soon(this.#flush);
      }
    }
    session.pending.push(what);
  }

  readonly #flushAnswered = (): void => {
    const answered = this.#answered;
    this.#answered = [];
    for (const session of answered) this.flushOne(session);
  };

  readonly #flush = (): void => {
    this.#armed = false;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const session of dirty) this.flushOne(session);
  };

  /** Writes what waits for one session, now. */
  flushOne(session: Session): void {
    const { socket, pending } = session;
    if (socket === undefined || pending === undefined) return;
    this.#sending = session;
    this.stats.writes += 1;
    if (pending.length === 1) this.#write();
    else socket.cork(this.#write);
    session.pending = undefined;
    if (session.phase.name === "open" && socket.getBufferedAmount() > this.#settings.highWaterBytes) {
      session.phase = { name: "behind", told: false }; // (O1)
      this.stats.fellBehind += 1;
    }
  }

  readonly #write = (): void => {
    const session = this.#sending as Session;
    for (const what of session.pending as Outgoing[]) {
      const frame = what instanceof Uint8Array ? what : deliveryFrame(what);
      this.stats.frames += 1;
      this.stats.bytes += frame.length;
      if (session.socket?.send(frame, true) === DROPPED) {
        this.stats.deadSockets += 1;
        session.socket.close(); // (O2); the close handler clears `socket`
      }
    }
  };

  /** The socket has taken what waited. */
  drained(session: Session): void {
    const { phase, socket } = session;
    if (phase.name !== "behind" || phase.told || socket === undefined) return;
    if (socket.getBufferedAmount() > this.#settings.lowWaterBytes) return;
    phase.told = true;
    this.frame(session, syncNeeded);
  }

  /** The session asks for a sync: what it is fed from now on stands behind the answer. */
  resume(session: Session): void {
    if (session.phase.name === "behind") session.phase = phases.open;
  }

  /** Pushes that could not be fed: the session has to sync. */
  tellToSync(session: Session): void {
    this.frame(session, syncNeeded);
  }
}
