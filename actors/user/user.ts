// The user actor: owns the inbox of one user and knows the user's attached sessions.
//
// (U1) Every change of a pointer, what was read too, gets the next version; versions rise over owner changes, for they are
//      stamps. What was delivered to other devices is told to nobody here, and has none.
// (U2) A push carries the version before its own, so that a device sees when it missed one.
// (U3) An entry is pushed at once and confirmed later: when the pointer is durable, under a verify (inbox-writer.ts).
// (U4) A delivery that this activation has not given a version gets a new one, even if the row has it already: an older
//      owner's write may still surface under a version that the device has passed.
// (U5) Pointers that are durable may leave memory while nothing happens, and are read again when something does: an idle
//      session costs the same with two channels as with two hundred.

import {
  type AcknowledgeNotice,
  type AttachRequest,
  type ChannelService,
  type DeliverNotice,
  type DetachNotice,
  type EndSessionRequest,
  Entry,
  type GatewayService,
  GoAwayReason,
  type InboxPointer,
  type InboxRequest,
  type Nothing,
  type PushStateReply,
  type PushStateRequest,
  type ReadRequest,
  type RepairReply,
  type RepairRequest,
  type RepairRequestStanding,
  type SignalNotice,
  type SyncReply,
  type SyncRequest,
  type UserService,
  type UserWhyReply,
  type UserWhyRequest,
} from "../../proto/index.ts";
import {
  type ActorContext,
  type Handlers,
  Later,
  type Lifecycle,
  type References,
  runtimeErrors,
  stamp,
  type Turn,
} from "../../runtime/index.ts";
import type { ChannelLogStore, RegisterStore } from "../../storage/index.ts";
import { chatErrors } from "../errors.ts";
import { deliveryBody, readBody } from "../frames.ts";
import type { ChatSettings } from "../settings.ts";
import { EndedLogIns } from "./ended-log-ins.ts";
import type { InboxOwner, InboxWriter } from "./inbox-writer.ts";
import { Dirty, newPointer, type Pointer, readPointers } from "./pointer.ts";
import { owes, type PushJobs } from "./push-jobs.ts";
import { Sessions } from "./sessions.ts";
import type { UsedTickets } from "./used-tickets.ts";

export interface UserPorts {
  readonly logs: ChannelLogStore;
  readonly registers: RegisterStore;
  readonly channels: References<typeof ChannelService>;
  readonly gateways: References<typeof GatewayService>;
  readonly inboxWriter: InboxWriter;
  readonly usedTickets: UsedTickets;
  readonly pushJobs: PushJobs | undefined;
  readonly settings: ChatSettings;
}

const done: Nothing = {};

export class User implements Handlers<typeof UserService>, Lifecycle, InboxOwner {
  readonly userId: number;
  readonly context: ActorContext;
  readonly #ports: UserPorts;
  #pointers: Map<string, Pointer> | undefined;
  #loading: Promise<Map<string, Pointer>> | undefined;
  readonly #sessions: Sessions;
  #endedLogIns: EndedLogIns | undefined;
  #version: number;
  isLost = false;

  static async activate(context: ActorContext, ports: UserPorts): Promise<User> {
    return new User(context, ports, readPointers(await ports.registers.read("inbox", context.id)));
  }

  private constructor(context: ActorContext, ports: UserPorts, pointers: Map<string, Pointer>) {
    this.userId = Number(context.id);
    this.context = context;
    this.#ports = ports;
    this.#pointers = pointers;
    this.#sessions = new Sessions(ports.gateways, ports.settings.sessionsAUserMax);
    this.#version = 0;
    for (const { version } of pointers.values()) this.#version = Math.max(this.#version, version);
  }

  /** (U1) */
  #nextVersion(): number {
    this.#version = Math.max(this.#version + 1, stamp(this.context.epoch, 1));
    return this.#version;
  }

  /** (U5) A turn that has to wait holds the mailbox, so nothing changes meanwhile but by it. */
  #load(): Promise<Map<string, Pointer>> {
    this.#loading ??= this.#ports.registers
      .read("inbox", this.context.id)
      .then((registers) => {
        this.#pointers ??= readPointers(registers);
        return this.#pointers;
      })
      .finally(() => {
        this.#loading = undefined;
      });
    return this.#loading;
  }

  #with<T>(task: (pointers: Map<string, Pointer>) => T): T | Promise<Awaited<T>> {
    const pointers = this.#pointers;
    return pointers === undefined ? (this.#load().then(task) as Promise<Awaited<T>>) : task(pointers);
  }

  // ---- fan-out

  deliver(notice: DeliverNotice, { traceparent }: Turn): void | Promise<void> {
    const pointers = this.#pointers;
    if (pointers === undefined) return this.#load().then((loaded) => this.#deliver(notice, loaded, traceparent));
    this.#deliver(notice, pointers, traceparent);
  }

  #deliver(notice: DeliverNotice, pointers: Map<string, Pointer>, traceparent: string): void {
    if (this.isLost) return;
    const { channelId, lastId, ordinal, authors, body, left, visibleFrom, unreadId, unreadAuthor } = notice;
    let pointer = pointers.get(channelId);
    if (pointer === undefined) {
      pointer = newPointer(channelId);
      pointers.set(channelId, pointer);
    }
    if (pointer.ours && lastId <= pointer.lastId) {
      // Told again: the confirmation was lost or is on its way.
      this.#ports.inboxWriter.mark(this, pointer, Dirty.POINTER);
      return;
    }
    const prev = this.#version;
    const version = this.#nextVersion();
    if (lastId >= pointer.lastId) {
      pointer.lastId = lastId;
      pointer.ordinal = ordinal;
      pointer.left = left;
    }
    pointer.version = version;
    pointer.ours = true;
    if (visibleFrom > 0) pointer.visibleFrom = visibleFrom;
    let what: number = Dirty.POINTER;
    // Who writes has read what stands above; the members see that from the entry.
    if (authors.at(-1) === this.userId && lastId > pointer.readId) {
      pointer.readId = lastId;
      pointer.readOrdinal = ordinal;
      what |= Dirty.READ;
    }
    if (unreadAuthor !== this.userId) this.#ports.pushJobs?.owe(pointer, unreadId, unreadAuthor);
    this.#ports.inboxWriter.mark(this, pointer, what);
    this.#push(prev, version, body, traceparent);
  }

  /** (U2) */
  #push(prev: number, version: number, body: Uint8Array, traceparent = ""): void {
    const { epoch } = this.context;
    for (const session of this.#sessions.list) {
      session.pushed = version;
      session.gateway.push({ sessionId: session.sessionId, epoch, prev, version, body }, traceparent);
    }
  }

  signal({ frame, shed }: SignalNotice): void {
    this.#sessions.tell(frame, shed);
  }

  // ---- sessions

  attach(request: AttachRequest): Later<SyncReply> | Promise<Later<SyncReply>> {
    const { gateway, sessionId, deviceId, loginId, cursor, ticketId, ticketExpiresMs } = request;
    if (this.#endedLogIns?.has(loginId)) throw chatErrors.UNAUTHENTICATED();
    const { usedTickets } = this.#ports;
    if (ticketId !== "" && !usedTickets.use(ticketId, ticketExpiresMs, this.context.clock.wallMs())) {
      throw chatErrors.TICKET_USED();
    }
    for (const replaced of this.#sessions.attach(gateway, sessionId, deviceId, loginId)) {
      replaced.gateway.close({ sessionId: replaced.sessionId, reason: GoAwayReason.REPLACED });
    }
    return this.#with((pointers) => this.#sync(pointers, cursor, true));
  }

  detach({ gateway, sessionId }: DetachNotice): void {
    this.#sessions.detach(gateway, sessionId);
    if (this.isAttached) return;
    // With nobody attached, a push job may wait for what is not written.
    for (const pointer of this.#pointers?.values() ?? []) {
      if (pointer.dirty !== 0) this.#ports.inboxWriter.mark(this, pointer, 0);
    }
  }

  sync({ cursor }: SyncRequest): Later<SyncReply> | Promise<Later<SyncReply>> {
    return this.#with((pointers) => this.#sync(pointers, cursor, true));
  }

  inbox({ afterVersion }: InboxRequest): Later<SyncReply> | Promise<Later<SyncReply>> {
    return this.#with((pointers) => this.#sync(pointers, afterVersion, false));
  }

  /** The pointers as they stand in this turn; their newest entries, and the verify, come after it. */
  #sync(pointers: Map<string, Pointer>, cursor: number, withNewest: boolean): Later<SyncReply> {
    const later = new Later<SyncReply>();
    const fullSync = cursor > this.#version;
    const above = fullSync ? 0 : cursor;
    const { syncPointersMax } = this.#ports.settings;
    const changed = [...pointers.values()].filter((pointer) => pointer.version > above);
    changed.sort((a, b) => a.version - b.version);
    const page = changed.slice(0, syncPointersMax).map((pointer) => ({ ...pointer, newest: [] }));
    const more = changed.length > page.length;
    // Whoever has the last page stands where the inbox stands; before that, at the last pointer of the page.
    const reached = more ? (page.at(-1)?.version ?? above) : this.#version;
    const reply = { cursor: reached, epoch: this.context.epoch, fullSync, more };
    const verified = this.context.verify(); // it starts after the request came
    const filled = withNewest ? Promise.all(page.map((pointer) => this.#withNewest(pointer))) : Promise.resolve(page);
    Promise.all([filled, verified]).then(
      ([shown]) => later.resolve({ ...reply, pointers: shown }),
      (error) => later.reject(error),
    );
    return later;
  }

  async #withNewest(pointer: InboxPointer): Promise<InboxPointer> {
    if (pointer.lastId === 0) return pointer;
    const { logs, settings } = this.#ports;
    const rows = await logs.read(pointer.channelId, {
      from: pointer.visibleFrom,
      to: pointer.lastId,
      rowsMax: settings.syncNewestMax,
      bytesMax: settings.syncNewestBytesMax,
      newestFirst: true,
    });
    return { ...pointer, newest: rows.reverse().map((row) => row.record) };
  }

  endSession({ loginId }: EndSessionRequest): Nothing {
    if (loginId !== "") {
      this.#endedLogIns ??= new EndedLogIns();
      this.#endedLogIns.add(loginId);
    }
    this.#sessions.close((session) => loginId === "" || session.loginId === loginId, GoAwayReason.SESSION_ENDED);
    return done;
  }

  // ---- watermarks

  acknowledge(notice: AcknowledgeNotice): void | Promise<void> {
    return this.#with((pointers) => this.#acknowledge(pointers.get(notice.channelId), notice));
  }

  #acknowledge(pointer: Pointer | undefined, { deviceId, deliveredId }: AcknowledgeNotice): void {
    if (pointer === undefined || this.isLost) return;
    const id = Math.min(deliveredId, pointer.lastId);
    pointer.devices ??= new Map();
    if (id <= (pointer.devices.get(deviceId) ?? 0)) return;
    pointer.devices.set(deviceId, id);
    pointer.deliveredId = Math.max(pointer.deliveredId, id);
    this.#ports.pushJobs?.heard(pointer);
    this.#ports.inboxWriter.mark(this, pointer, Dirty.DELIVERED | Dirty.TELL);
  }

  /** A change of the inbox like a delivery: who is attached sees it in its turn, and who is away finds it by its sync. */
  read(request: ReadRequest): Nothing | Promise<Nothing> {
    return this.#with((pointers) => this.#read(pointers.get(request.channelId), request));
  }

  #read(pointer: Pointer | undefined, { channelId, readId, ordinal }: ReadRequest): Nothing {
    if (pointer === undefined) throw chatErrors.NOT_A_MEMBER();
    const id = Math.min(readId, pointer.lastId);
    if (id <= pointer.readId) return done;
    pointer.readId = id;
    this.#ports.pushJobs?.heard(pointer);
    pointer.readOrdinal = id === pointer.lastId ? pointer.ordinal : Math.min(ordinal, pointer.ordinal);
    const prev = this.#version;
    pointer.version = this.#nextVersion();
    this.#ports.inboxWriter.mark(this, pointer, Dirty.POINTER | Dirty.READ | Dirty.TELL);
    this.#push(prev, pointer.version, readBody(channelId, pointer.readId, pointer.readOrdinal));
    return done;
  }

  receipt({ channelId, deliveredId, readId }: Pointer): void {
    this.#ports.channels(channelId).receipt({ userId: this.userId, deliveredId, readId });
  }

  // ---- push notifications

  get isAttached(): boolean {
    return this.#sessions.list.length > 0;
  }

  /** The kept pointer says it too, so that whoever owns the user when it is read knows what to clear. */
  pushed(pointer: Pointer): void {
    this.#ports.inboxWriter.mark(this, pointer, Dirty.POINTER);
  }

  pushState({ channelId }: PushStateRequest): Later<PushStateReply> | Promise<Later<PushStateReply>> {
    return this.#with((pointers) =>
      this.#pushState(pointers.get(channelId) ?? { ...newPointer(channelId), left: true }),
    );
  }

  #pushState(pointer: Pointer): Later<PushStateReply> {
    const later = new Later<PushStateReply>();
    const { readId, deliveredId, visibleFrom, left, pushedId } = pointer;
    const unread = Math.max(0, pointer.ordinal - pointer.readOrdinal);
    const reply = { readId, deliveredId, unread, visibleFrom, left, pushedId };
    this.context.verify().then(
      () => later.resolve(reply),
      (error) => later.reject(error),
    );
    return later;
  }

  // ---- repair

  /**
   * Pointers that the store has not got as they are here, or not at all, are taken from what the channels say, each under a
   * new version (U4). How far the person had read is lost with them, but for what the person wrote.
   */
  async repair({ channels }: RepairRequest): Promise<Later<RepairReply>> {
    await this.#ports.inboxWriter.flush(); // so that the store has what it should have
    const kept = readPointers(await this.#ports.registers.read("inbox", this.context.id));
    this.#pointers ??= kept; // the turn holds the mailbox, so nothing was delivered meanwhile
    const pointers = this.#pointers;
    const repaired: Pointer[] = [];
    for (const standing of channels) {
      const known = pointers.get(standing.channelId);
      const isKept = known !== undefined && kept.get(known.channelId)?.version === known.version;
      if (isKept && known.lastId >= standing.lastId) continue;
      repaired.push(this.#repair(pointers, known ?? newPointer(standing.channelId), standing));
    }
    const later = new Later<RepairReply>();
    const reply = { repaired: repaired.length, standing: channels.length - repaired.length };
    this.#ports.inboxWriter
      .flush()
      .then(() => this.context.verify()) // it starts after the pointers are durable
      .then(
        () => {
          if (repaired.every(({ dirty }) => dirty === 0)) later.resolve(reply);
          else
            later.reject(runtimeErrors.UNAVAILABLE({ executed: "maybe", message: "Not all pointers were written." }));
        },
        (error) => later.reject(error),
      );
    return later;
  }

  #repair(pointers: Map<string, Pointer>, pointer: Pointer, standing: RepairRequestStanding): Pointer {
    const { channelId, lastId, ordinal, visibleFrom, newest } = standing;
    pointers.set(channelId, pointer);
    if (lastId >= pointer.lastId) {
      Object.assign(pointer, { lastId, ordinal, visibleFrom, left: false });
      if (Entry.decode(newest).author === this.userId && lastId > pointer.readId) {
        pointer.readId = lastId;
        pointer.readOrdinal = ordinal;
      }
    }
    const prev = this.#version;
    pointer.version = this.#nextVersion();
    pointer.ours = true;
    const marks = (pointer.readId > 0 ? Dirty.READ : 0) | (pointer.devices === undefined ? 0 : Dirty.DELIVERED);
    this.#ports.inboxWriter.mark(this, pointer, Dirty.POINTER | marks);
    this.#push(prev, pointer.version, deliveryBody(channelId, [newest]));
    return pointer;
  }

  // ---- why

  why(request: UserWhyRequest): UserWhyReply | Promise<UserWhyReply> {
    return this.#with((pointers) =>
      this.#why(pointers.get(request.channelId) ?? newPointer(request.channelId), request.messageId),
    );
  }

  #why(pointer: Pointer, messageId: number): UserWhyReply {
    const reached = pointer.lastId >= messageId && pointer.lastId > 0;
    const known = new Set([...(pointer.devices?.keys() ?? []), ...this.#sessions.list.map(({ deviceId }) => deviceId)]);
    return {
      pointerId: pointer.lastId,
      pointerVersion: pointer.version,
      pointerDurable: reached && (pointer.dirty & Dirty.POINTER) === 0,
      readId: pointer.readId,
      devices: [...known].map((deviceId) => {
        const session = this.#sessions.list.find((other) => other.deviceId === deviceId);
        const deliveredId = pointer.devices?.get(deviceId) ?? 0;
        const pushed = session !== undefined && reached && session.pushed >= pointer.version;
        return { deviceId, attached: session !== undefined, pushed: pushed || deliveredId >= messageId, deliveredId };
      }),
    };
  }

  // ---- lifecycle

  /** What a push job may still have to be made for stays, too: who acknowledges it is known in memory only. */
  #isDurable(): boolean {
    for (const pointer of this.#pointers?.values() ?? []) {
      if (pointer.dirty !== 0 || pointer.writing || owes(pointer)) return false;
    }
    return true;
  }

  canPassivate(): boolean {
    return this.#sessions.list.length === 0 && this.#isDurable();
  }

  /** (U5) */
  rest(): void {
    if (this.#pointers !== undefined && this.#isDurable()) this.#pointers = undefined;
  }

  async deactivate(): Promise<void> {
    const { inboxWriter, pushJobs } = this.#ports;
    const pointers = [...(this.#pointers?.values() ?? [])];
    await inboxWriter.leave(this, pointers);
    if (pushJobs !== undefined) for (const pointer of pointers) pushJobs.hurry(this, pointer);
    this.#sessions.reattach(this.context.epoch);
  }

  lost(): void {
    this.isLost = true;
    this.#sessions.reattach(this.context.epoch);
  }
}
