// The presence actor: whether one user is there, and who is told.
//
// (P1) Offline comes offlineAfterMs after the last beat of the last session, or at once with a log-out.
// (P2) A change is kept and verified before it is told, so that a woken old owner cannot call anybody offline.
// (P3) Only friends are told, and who asks in a group of both; the lists change with the friendship.

import {
  type AskRequest,
  type FriendsChangedNotice,
  kept,
  type Presence as PresenceMessage,
  type PresenceReply,
  type PresenceService,
  PresenceState,
  type ReportNotice,
  ServerFrame,
  SessionState,
  Shed,
  type SubscribeRequest,
  type UnsubscribeNotice,
  type UserService,
  type WatchReply,
  type WatchRequest,
} from "../../proto/index.ts";
import {
  type ActorContext,
  type Handlers,
  Later,
  type Lifecycle,
  type References,
  stamp,
  type Timer,
} from "../../runtime/index.ts";
import type { RegisterStore } from "../../storage/index.ts";
import type { ChatSettings } from "../settings.ts";
import { nextPhase, type PresenceEvent, type PresencePhase } from "./machine.ts";
import { Watchers } from "./watchers.ts";

export interface PresencePorts {
  readonly registers: RegisterStore;
  readonly users: References<typeof UserService>;
  readonly presences: References<typeof PresenceService>;
  readonly settings: ChatSettings;
  readonly friendsOf: (userId: number) => Promise<readonly number[]>;
}

/** One session of the user, as its gateway last reported it. */
interface SessionReport {
  readonly gateway: string;
  readonly sessionId: number;
  alive: boolean;
  /** By the monotonic clock of this node. */
  lastBeatMs: number;
  leaseUntilMs: number;
}

function unknown(userId: number): PresenceMessage {
  return { userId, state: PresenceState.UNKNOWN, lastActiveAtMs: 0 };
}

/** A store that is back is found within this; nobody waits for the news of a presence. */
const TELL_AGAIN_MS = 5_000;

const states: readonly PresencePhase[] = ["offline", "silent", "online"];

export class Presence implements Handlers<typeof PresenceService>, Lifecycle {
  readonly #context: ActorContext;
  readonly #ports: PresencePorts;
  readonly #userId: number;
  #phase: PresencePhase;
  #lastActiveAtMs: number;
  #sessions: SessionReport[] = [];
  readonly #watchers = new Watchers();
  /** Friends of this user, while one of its sessions watches them. */
  #watching: number[] | undefined;
  #timer: Timer | undefined;
  #renewal: Timer | undefined;
  #stampN = 0;

  static async activate(context: ActorContext, ports: PresencePorts): Promise<Presence> {
    const [register] = await ports.registers.read("presence", context.id);
    const lastSeen = register === undefined ? undefined : kept.LastSeen.decode(register.value);
    return new Presence(context, ports, lastSeen);
  }

  private constructor(context: ActorContext, ports: PresencePorts, lastSeen: kept.LastSeen | undefined) {
    this.#context = context;
    this.#ports = ports;
    this.#userId = Number(context.id);
    this.#lastActiveAtMs = lastSeen?.lastActiveAtMs ?? 0;
    // An older owner left somebody online: the gateways' reports will tell, and if none comes, time will.
    this.#phase = states[lastSeen?.state ?? 0] === "offline" ? "offline" : "silent";
    if (this.#phase === "silent") this.#arm(ports.settings.offlineAfterMs);
  }

  // ---- what gateways report

  report({ gateway, sessionId, state, lastBeatAgoMs }: ReportNotice): void {
    const nowMs = this.#context.clock.monotonicMs();
    const known = this.#sessions.find((other) => other.gateway === gateway && other.sessionId === sessionId);
    if (state === SessionState.LOGGED_OUT) this.#sessions = this.#sessions.filter((other) => other !== known);
    else {
      const session = known ?? { gateway, sessionId, alive: true, lastBeatMs: 0, leaseUntilMs: 0 };
      session.alive = state === SessionState.ALIVE;
      session.lastBeatMs = nowMs - lastBeatAgoMs;
      session.leaseUntilMs = nowMs + this.#ports.settings.sessionLeaseMs;
      if (known === undefined) this.#sessions = this.#sessions.concat(session); // without the spare room that push would leave
      const wallMs = this.#context.clock.wallMs() - lastBeatAgoMs;
      this.#lastActiveAtMs = Math.max(this.#lastActiveAtMs, wallMs);
    }
    this.#look(state === SessionState.LOGGED_OUT);
  }

  /** Works out from all sessions what has happened to the user. */
  #look(loggedOut: boolean): void {
    const nowMs = this.#context.clock.monotonicMs();
    const { offlineAfterMs } = this.#ports.settings;
    for (const session of this.#sessions) if (session.leaseUntilMs <= nowMs) session.alive = false;
    this.#sessions = this.#sessions.filter(({ alive, lastBeatMs }) => alive || lastBeatMs + offlineAfterMs > nowMs);
    const alive = this.#sessions.filter((session) => session.alive);
    if (alive.length > 0) {
      this.#take({ type: "beat" });
      this.#arm(Math.min(...alive.map((session) => session.leaseUntilMs)) - nowMs);
    } else if (this.#sessions.length > 0) {
      this.#take({ type: "beatsStopped" });
      this.#arm(Math.max(...this.#sessions.map((session) => session.lastBeatMs)) + offlineAfterMs - nowMs);
    } else if (loggedOut) this.#take({ type: "loggedOut" });
    else {
      this.#take({ type: "beatsStopped" }); // a gateway that died did not say so
      this.#take({ type: "expired" });
    }
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#context.after(Math.max(1, delayMs), () => {
      this.#timer = undefined;
      this.#look(false);
    });
  }

  #take(event: PresenceEvent): void {
    const before = this.#phase;
    this.#phase = nextPhase(before, event);
    if (this.#phase === before) return;
    const nowOnline = this.#phase !== "offline";
    if (nowOnline === (before !== "offline")) return; // silence is not told
    if (!nowOnline) {
      this.#timer?.cancel();
      this.#timer = undefined;
    }
    void this.#tell();
  }

  /** (P2) */
  async #tell(): Promise<void> {
    const { registers, users } = this.#ports;
    this.#stampN += 1;
    const presence = this.#presence();
    const value = kept.LastSeen.encode({
      state: states.indexOf(this.#phase),
      lastActiveAtMs: this.#lastActiveAtMs,
    }).finish();
    const timestamp = stamp(this.#context.epoch, this.#stampN);
    try {
      await registers.write([{ family: "presence", owner: this.#context.id, name: "last_seen", timestamp, value }]);
      await this.#context.verify();
    } catch {
      this.#tellAgain(presence); // not kept, so not told
      return;
    }
    const watchers = this.#watchers.live(this.#context.clock.monotonicMs());
    if (watchers.length === 0) return;
    const frame = ServerFrame.encode({ request: 0, presences: { presences: [presence] } }).finish();
    users.many(watchers.map(String)).signal({ frame, shed: Shed.PRESENCE });
  }

  /** Unless something else has happened meanwhile, which is told in its turn, or the tenure is over. */
  #tellAgain({ state }: PresenceMessage): void {
    const said = this.#stampN;
    this.#context.after(TELL_AGAIN_MS, () => {
      if (this.#stampN === said && this.#presence().state === state) return this.#tell();
    });
  }

  #presence(): PresenceMessage {
    return {
      userId: this.#userId,
      state: this.#phase === "offline" ? PresenceState.OFFLINE : PresenceState.ONLINE,
      lastActiveAtMs: this.#lastActiveAtMs,
    };
  }

  // ---- watching others

  watch({ on }: WatchRequest): Later<WatchReply> {
    const later = new Later<WatchReply>();
    if (on) {
      this.#ports
        .friendsOf(this.#userId)
        .then((friends) => {
          this.#watching = [...friends];
          this.#armRenewal();
          return this.#subscribeToAll();
        })
        .then(
          (presences) => later.resolve({ presences }),
          (error) => later.reject(error),
        );
    } else {
      for (const friend of this.#watching ?? []) {
        this.#ports.presences(String(friend)).unsubscribe({ watcherId: this.#userId });
      }
      this.#watching = undefined;
      this.#renewal?.cancel();
      later.resolve({ presences: [] });
    }
    return later;
  }

  async #subscribeToAll(): Promise<PresenceMessage[]> {
    const request = { watcherId: this.#userId, leaseMs: this.#ports.settings.watchLeaseMs };
    const friends = this.#watching ?? [];
    const replies = await Promise.allSettled(
      friends.map((friend) => this.#ports.presences(String(friend)).subscribe(request)),
    );
    return replies.flatMap((reply) =>
      reply.status === "fulfilled" && reply.value.presence ? [reply.value.presence] : [],
    );
  }

  /** Before the lease ends, as long as the user is there. Apart from what it follows, which it would hold in memory. */
  #armRenewal(): void {
    this.#renewal?.cancel();
    this.#renewal = this.#context.after(this.#ports.settings.watchLeaseMs / 2, () => this.#renew());
  }

  #renew(): void {
    if (this.#phase === "offline") this.#watching = undefined;
    if (this.#watching === undefined) return;
    this.#armRenewal();
    void this.#subscribeToAll();
  }

  // ---- being watched

  subscribe({ watcherId, leaseMs }: SubscribeRequest): PresenceReply {
    const nowMs = this.#context.clock.monotonicMs();
    this.#watchers.live(nowMs);
    this.#watchers.add(watcherId, nowMs + leaseMs, this.#ports.settings.watchersMax);
    return { presence: this.#presence() };
  }

  unsubscribe({ watcherId }: UnsubscribeNotice): void {
    this.#watchers.remove(watcherId);
  }

  /** (P3) */
  ask({ askerId }: AskRequest): PresenceReply | Promise<PresenceReply> {
    if (askerId === 0 || askerId === this.#userId) return { presence: this.#presence() };
    return this.#ports.friendsOf(this.#userId).then((friends) => ({
      presence: friends.includes(askerId) ? this.#presence() : unknown(this.#userId),
    }));
  }

  /** (P3) */
  friendsChanged({ friendId, friends }: FriendsChangedNotice): void {
    if (!friends) this.#watchers.remove(friendId);
    if (this.#watching === undefined) return;
    this.#watching = this.#watching.filter((other) => other !== friendId);
    if (!friends) return;
    this.#watching.push(friendId);
    const request = { watcherId: this.#userId, leaseMs: this.#ports.settings.watchLeaseMs };
    void this.#ports
      .presences(String(friendId))
      .subscribe(request)
      .then(
        ({ presence }) => {
          if (!presence) return;
          const frame = ServerFrame.encode({ request: 0, presences: { presences: [presence] } }).finish();
          this.#ports.users(this.#context.id).signal({ frame, shed: Shed.PRESENCE });
        },
        () => undefined, // the next renewal asks again
      );
  }

  // ---- lifecycle

  canPassivate(): boolean {
    const nowMs = this.#context.clock.monotonicMs();
    return this.#phase === "offline" && this.#watchers.live(nowMs).length === 0 && this.#watching === undefined;
  }
}
