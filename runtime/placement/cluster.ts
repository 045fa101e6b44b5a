// One node's part in membership and placement: it beats and listens, keeps its session and its copy of the table, and is the
// coordinator when it is its turn.
//
// (K1) The same (shard, epoch) is never given to two nodes: by (C1), (C2) and (D2).
// (K2) Without Consul nothing moves, and without the other nodes nobody is thought dead; traffic goes on.
// (K3) A node that must not join writes nothing.

import { type ControlMessage, type Order, type SurveyReply, type Tenures } from "../../proto/index.ts";
import { type Clock, pause, type Timer } from "../clock.ts";
import type { Control } from "../control/port.ts";
import { type MadangError, toMadangError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Member, Membership } from "../membership/port.ts";
import type { Roster } from "../membership/roster.ts";
import { MemberSession } from "../membership/session.ts";
import { type Condition, Vigil } from "../membership/vigil.ts";
import type { Random } from "../random.ts";
import type { Candidate } from "./balance.ts";
import { Coordinator } from "./coordinator.ts";
import { Directory, tenuresOf } from "./directory.ts";
import { createEntrance, type Entrance } from "./enter.ts";
import { clusterErrors } from "./errors.ts";
import { type ControlBody, decodeControl, encodeControl } from "./messages.ts";
import type { Placement } from "./port.ts";
import type { PlacementSettings } from "./settings.ts";
import { newStats, type PlacementStats } from "./stats.ts";
import type { PlacementStore, Stored, StoredMember, Watch } from "./store.ts";
import { applyDelta, decodeTable, type ShardTable } from "./table.ts";
import { type CoordinatorValue, decodeCoordinator, decodeMember, encodeValue, nameOf } from "./values.ts";

export interface ClusterPlacementOptions {
  /** Its node id is `name#incarnation`, new at each start of the process. */
  readonly member: Member;
  readonly shardCount: number;
  readonly settings: PlacementSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly store: PlacementStore;
  readonly control: Control;
  /** An operator asked this node to drain: the rest of it can let go, too. */
  readonly onDrain?: () => void;
}

export interface CoordinatorStatus {
  readonly term: number;
  /** "": nobody, as far as this node knows. */
  readonly nodeId: string;
  /** Of this node. `halted`: the table in Consul cannot be read. */
  readonly phase: "following" | "recovering" | "working" | "halted" | "closed";
  /** Hand-offs that are under way. */
  readonly handoffs: number;
}

export interface ClusterPlacement {
  /** Opened before start(). */
  readonly placement: Placement;
  readonly membership: Membership;
  /**
   * Whether start() would let this node in, as far as can be told now: for whoever would write elsewhere before it. Rejects as
   * start() does, and writes nothing.
   */
  check(): Promise<void>;
  /**
   * Joins, and resolves when the table is known. Rejects with SHARD_COUNT_MISMATCH, NAME_IN_USE, CLUSTER_MISMATCH, CLOCK_SKEW, PLACEMENT_CORRUPT,
   * CONTROL_UNREACHABLE or one of Consul's, and has written nothing then.
   */
  start(): Promise<void>;
  /** What has changed of this member. Counts of sessions are told every few seconds only. */
  tell(changes: Partial<Pick<Member, "status" | "wsUrl" | "httpUrl" | "sessions" | "sessionsMax">>): void;
  /** All shards leave. False if some had nowhere to go within `withinMs`. */
  drain(withinMs?: number): Promise<boolean>;
  table(): ShardTable | undefined;
  coordinator(): CoordinatorStatus;
  stats(): PlacementStats;
  /** Leaves at once: what is still here goes to others as that of a dead node. Drain first. */
  close(): Promise<void>;
}

export function createClusterPlacement(options: ClusterPlacementOptions): ClusterPlacement {
  return new ClusterNode(options);
}

class ClusterNode implements ClusterPlacement {
  readonly placement: Directory;
  readonly membership: Roster;
  readonly #options: ClusterPlacementOptions;
  readonly #nodeId: string;
  readonly #stats = newStats();
  readonly #vigil: Vigil;
  readonly #session: MemberSession;
  readonly #watches: Watch[] = [];
  #member: Member;
  #clusterId = "";
  #phase: "new" | "entering" | "joined" | "closed" = "new";
  #entrance: Entrance | undefined;
  #leader: CoordinatorValue | undefined;
  #coordinator: Coordinator | undefined;
  #leaderlessSinceMs: number | undefined;
  #taking = false;
  #timer: Timer | undefined;
  #beatAtMs = Number.NEGATIVE_INFINITY;
  #refreshing = false;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #refreshTimer: Timer | undefined;
  #reminding = false;

  constructor(options: ClusterPlacementOptions) {
    const { member, shardCount, settings, clock, random, log, store } = options;
    this.#options = options;
    this.#member = member;
    this.#nodeId = member.nodeId;
    this.#vigil = new Vigil(member, settings, clock);
    this.membership = this.#vigil.roster;
    this.#session = new MemberSession({
      store,
      settings,
      clock,
      random,
      log,
      member: () => this.#member,
      onRenewed: () => this.placement.leaseRenewed(),
    });
    this.placement = new Directory({
      nodeId: this.#nodeId,
      shardCount,
      log,
      mayTake: () => !this.#session.leaseOver,
      onNews: () => this.#remindSoon(),
    });
  }

  // ---- joining and leaving

  async check(): Promise<void> {
    await this.#enter().look();
  }

  /** From now on this node hears what others say, and answers nobody. */
  #enter(): Entrance {
    if (this.#entrance !== undefined) return this.#entrance;
    const { control } = this.#options;
    this.#phase = "entering";
    control.open({
      onMessage: (from, bytes) => this.#received(from, bytes),
      onConnected: (connected) => {
        if (connected) this.#vigil.restart();
      },
    });
    this.#entrance = createEntrance({
      ...this.#options,
      nodeId: this.#nodeId,
      ask: (clusterId, to) => {
        const bytes = encodeControl(clusterId, { ping: { nonce: 1 } });
        if (to === undefined) control.broadcast(bytes);
        else control.send(to, bytes);
      },
    });
    return this.#entrance;
  }

  async start(): Promise<void> {
    const { store, control, shardCount } = this.#options;
    try {
      const { clusterId, table, members, replaced } = await this.#enter().pass();
      this.#clusterId = clusterId;
      await this.#session.open();
      for (const old of replaced) this.membership.left(old);
      this.#listed(members);
      if (table !== undefined) this.placement.adopt(decodeTable(table.bytes, shardCount));
      const stored = await store.read("coordinator");
      this.#follow(stored && decodeCoordinator(stored.bytes));
      this.#joined(replaced);
    } catch (error) {
      this.#phase = "closed";
      await this.#session.close();
      await control.close();
      store.close();
      throw error;
    }
    await this.#tableKnown();
  }

  /** So that whoever asks this node is not told that nobody owns anything. Not for ever: traffic has its own deadlines. */
  async #tableKnown(): Promise<void> {
    const { clock, settings } = this.#options;
    const untilMs = clock.monotonicMs() + settings.suspectMs * 2;
    while (this.placement.table === undefined && this.#phase === "joined" && clock.monotonicMs() < untilMs) {
      await pause(clock, settings.tickMs / 5);
    }
  }

  #joined(replaces: readonly string[]): void {
    const { store } = this.#options;
    this.#phase = "joined";
    this.#vigil.restart();
    const member = new TextDecoder().decode(encodeValue(this.#member));
    this.#broadcast({ greeting: { member, replaces: [...replaces] } });
    this.#watches.push(
      store.watchMembers((members) => this.#listed(members)),
      store.watchTable((table) => this.#shown(table)),
    );
    this.#tick();
  }

  async close(): Promise<void> {
    const { control, store, log } = this.#options;
    if (this.#phase === "closed") return;
    const joined = this.#phase === "joined";
    this.#phase = "closed";
    this.#timer?.cancel();
    this.#refreshTimer?.cancel();
    for (const watch of this.#watches) watch.close();
    try {
      await this.#coordinator?.resign();
    } catch (error) {
      log.debug({ error }, "the key of the coordinator could not be handed back");
    }
    await this.#session.close();
    if (joined) this.#broadcast({ leave: {} });
    await control.close();
    store.close();
  }

  tell(changes: Partial<Member>): void {
    const { sessions: _, ...others } = changes;
    const atOnce = (Object.keys(others) as (keyof typeof others)[]).some((name) => others[name] !== this.#member[name]);
    this.#member = { ...this.#member, ...changes };
    this.membership.changed(this.#member);
    this.#session.changed(atOnce);
    if (changes.status !== undefined && this.#phase === "joined") this.#beat();
  }

  async drain(withinMs = this.#options.settings.drainMs): Promise<boolean> {
    const { clock, settings } = this.#options;
    if (this.#member.status !== "draining") this.tell({ status: "draining" });
    const untilMs = clock.monotonicMs() + withinMs;
    while (this.placement.owned > 0 && this.#phase === "joined" && clock.monotonicMs() < untilMs) {
      // Nobody is there who could take them: waiting would not help.
      if (!this.#candidates().some(({ nodeId, draining }) => nodeId !== this.#nodeId && !draining)) break;
      await pause(clock, settings.tickMs / 5);
    }
    return this.placement.owned === 0;
  }

  // ---- what is known

  table(): ShardTable | undefined {
    return this.placement.table;
  }

  coordinator(): CoordinatorStatus {
    return {
      term: this.#leader?.term ?? 0,
      nodeId: this.#leader?.nodeId ?? "",
      phase: this.#coordinator?.phase ?? "following",
      handoffs: this.#coordinator?.handoffs ?? 0,
    };
  }

  stats(): PlacementStats {
    return {
      ...this.#stats,
      term: this.#leader?.term ?? 0,
      version: this.placement.table?.version ?? 0,
      owned: this.placement.owned,
      highestEpoch: Math.max(0, ...(this.placement.table?.owners.map(({ epoch }) => epoch) ?? [])),
      suspicions: this.#vigil.suspicions,
      members: this.membership.members().length,
      leading: Number(this.#coordinator !== undefined),
      leaseOver: Number(this.#session.leaseOver),
      consulErrors: this.#options.store.failures,
      sessionsRemade: this.#session.remade,
    };
  }

  #condition(): Condition {
    return { draining: this.#member.status === "draining", leaseOver: this.#session.leaseOver };
  }

  #candidates(): Candidate[] {
    return this.#vigil.candidates(this.#condition());
  }

  get #leaderId(): string {
    return this.#leader?.nodeId ?? "";
  }

  // ---- what Consul shows

  #listed(stored: readonly StoredMember[]): void {
    const members = stored
      .map(({ nodeId, bytes }) => decodeMember(nodeId, bytes))
      .filter((member) => member !== undefined);
    this.membership.listed(members);
    if (this.#phase === "joined" && !members.some(({ nodeId }) => nodeId === this.#nodeId)) this.#session.missing();
  }

  #shown(stored: Stored | undefined): void {
    if (stored !== undefined) this.#read(stored);
    void this.#coordinator?.shown(stored);
  }

  #read(stored: Stored): void {
    try {
      this.placement.adopt(decodeTable(stored.bytes, this.#options.shardCount));
    } catch (error) {
      this.#stats.corrupt += 1;
      this.#options.log.error({ error }, "the placement table cannot be read; the one before it stays");
    }
  }

  /** A change was missed. */
  #refresh(): void {
    const { store, clock, settings, random } = this.#options;
    if (this.#refreshing || this.#phase !== "joined") return;
    this.#refreshing = true;
    const waitMs = this.#refreshedAtMs + settings.refreshMs * (1 + random.next()) - clock.monotonicMs();
    this.#refreshTimer = clock.after(Math.max(0, waitMs), async () => {
      this.#refreshedAtMs = clock.monotonicMs();
      try {
        const stored = await store.read("placement");
        if (stored !== undefined && this.#phase === "joined") this.#read(stored);
      } catch (error) {
        this.#options.log.debug({ error }, "the placement table could not be read");
      }
      this.#refreshing = false;
    });
  }

  // ---- time

  #tick(): void {
    const { clock, control, settings } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#vigil.observe(this.#leaderId, this.#coordinator !== undefined);
    if (control.connected) {
      const second = nowMs - this.#beatAtMs >= settings.beatEveryMs;
      if (second) {
        this.#beatAtMs = nowMs;
        this.#beat();
        this.#remind();
      }
      for (const nodeId of this.#vigil.suspects(second)) this.#broadcast({ suspect: { nodeId } });
      if (this.#coordinator !== undefined) this.#rule(second);
      else this.#elect(nowMs);
    }
    this.#coordinator?.tick();
    this.#timer = clock.after(settings.tickMs, () => this.#tick());
  }

  #beat(): void {
    const { table } = this.placement;
    const beat = { version: table?.version ?? 0, digest: table?.digest ?? 0, ...this.#condition() };
    for (const hearer of this.#vigil.hearers(this.#leaderId)) this.#send(hearer, { beat });
  }

  // ---- the coordinator's part

  #rule(second: boolean): void {
    const { gone, kept, changed } = this.#vigil.rule();
    if (!changed && !second) return;
    const term = this.#coordinator?.term ?? 0;
    this.#leader = { term, nodeId: this.#nodeId };
    this.#broadcast({
      lead: { term, version: this.placement.table?.version ?? 0, gone: [...gone], kept: [...kept] },
    });
  }

  #elect(nowMs: number): void {
    const { settings } = this.#options;
    const leader = this.#leaderId;
    if (!this.#vigil.isDown(leader)) {
      this.#leaderlessSinceMs = undefined;
      return;
    }
    this.#leaderlessSinceMs ??= nowMs;
    // The first in line of those who stay.
    const order = this.#candidates()
      .filter(({ nodeId }) => nodeId !== leader && !this.#vigil.isSuspected(nodeId))
      .sort((a, b) => Number(a.draining) - Number(b.draining) || (a.nodeId < b.nodeId ? -1 : 1));
    const rank = order.findIndex(({ nodeId }) => nodeId === this.#nodeId);
    if (rank < 0 || this.#taking || nowMs - this.#leaderlessSinceMs < rank * settings.electionStepMs) return;
    this.#taking = true;
    void this.#take(leader)
      .catch((error) =>
        this.#options.log.warn({ error: toMadangError(error) }, "no coordinator, and Consul does not answer"),
      )
      .finally(() => {
        this.#taking = false;
      });
  }

  /** The key changes hands by its version, not by a session: those take twice their time to live to end. */
  async #take(dead: string): Promise<void> {
    const { store } = this.#options;
    const stored = await store.read("coordinator");
    const value = stored && decodeCoordinator(stored.bytes);
    if (value !== undefined && value.nodeId !== dead && value.nodeId !== this.#nodeId) {
      this.#follow(value); // somebody was faster
      this.#vigil.observe(value.nodeId, false);
      if (!this.#vigil.isDown(value.nodeId)) return;
    }
    const term = Math.max(value?.term ?? 0, this.#leader?.term ?? 0) + 1;
    const version = await store.write("coordinator", encodeValue({ term, nodeId: this.#nodeId }), stored?.version ?? 0);
    if (version !== undefined && this.#phase === "joined") this.#lead({ term, version }, dead);
  }

  #lead(key: { readonly term: number; readonly version: number }, dead: string): void {
    const { shardCount, settings, clock, store, log } = this.#options;
    log.info({ term: key.term }, "this node is the coordinator now");
    this.#stats.elections += 1;
    this.#follow({ term: key.term, nodeId: this.#nodeId });
    this.#vigil.observe(this.#nodeId, true);
    this.#vigil.beginRuling(dead);
    this.#coordinator = new Coordinator(key, {
      nodeId: this.#nodeId,
      shardCount,
      settings,
      clock,
      store,
      log,
      stats: this.#stats,
      candidates: () => this.#candidates(),
      peers: () =>
        this.membership
          .members()
          .map(({ nodeId }) => nodeId)
          .filter((nodeId) => nodeId !== this.#nodeId),
      ownReport: () => this.#report(this.#coordinator?.term ?? key.term),
      send: (to, body) => this.#send(to, body),
      broadcast: (body) => this.#broadcast(body),
      adopt: (table) => void this.placement.adopt(table),
      deposed: (by) => {
        log.info({ term: by?.term, by: by?.nodeId }, "another node is the coordinator");
        this.#coordinator = undefined;
        if (by !== undefined) this.#follow(by);
      },
    });
    this.#rule(true);
  }

  #follow(leader: CoordinatorValue | undefined): void {
    if (leader === undefined) return;
    this.#leader = leader;
    this.#leaderlessSinceMs = undefined;
    this.#vigil.follow(leader.nodeId);
    if (leader.nodeId !== this.#nodeId && this.#phase === "joined") this.#remindSoon();
  }

  // ---- messages out

  #send(to: string, body: ControlBody): void {
    // To itself, too, when it is the coordinator.
    if (to === this.#nodeId) this.#options.clock.soon(() => this.#handleOwn(body));
    else this.#options.control.send(to, encodeControl(this.#clusterId, body));
  }

  #broadcast(body: ControlBody): void {
    this.#options.control.broadcast(encodeControl(this.#clusterId, body));
  }

  /** Soon, so that what comes together leaves together. */
  #remindSoon(): void {
    if (this.#reminding || this.#phase !== "joined") return;
    this.#reminding = true;
    this.#options.clock.soon(() => {
      this.#reminding = false;
      this.#remind();
    });
  }

  #remind(): void {
    const leader = this.#leaderId;
    const { released, lost } = this.placement.reminders();
    const serving = this.placement.takeServing();
    if (leader === "" || this.#phase !== "joined") return;
    if (serving.length > 0) this.#send(leader, { serving: { tenures: tenuresOf(serving) } });
    if (released.length > 0) this.#send(leader, { handoffDone: { tenures: tenuresOf(released) } });
    if (lost.length > 0) {
      const tenures = tenuresOf(lost.map(({ tenure }) => tenure));
      this.#send(leader, { lost: { tenures, highestEpochs: lost.map(({ highestEpoch }) => highestEpoch) } });
    }
  }

  #report(term: number): SurveyReply {
    const { table } = this.placement;
    return {
      term,
      highestTerm: this.#leader?.term ?? 0,
      version: table?.version ?? 0,
      digest: table?.digest ?? 0,
      epochs: [...this.placement.seen],
      held: tenuresOf(this.placement.held()),
      released: tenuresOf(this.placement.reminders().released),
    };
  }

  // ---- messages in

  #received(from: string, bytes: Uint8Array): void {
    const { settings } = this.#options;
    if (this.#clusterId === "") {
      // One that was not let in answers nobody: it would seem to be of another cluster.
      if (this.#phase === "entering") this.#entrance?.heard(from, bytes);
      return;
    }
    const { message, dropped } = decodeControl(this.#clusterId, bytes, settings.controlBytesMax);
    if (dropped !== undefined) {
      this.#stats.dropped[dropped] += 1;
      // One that starts has to learn that it would join another cluster.
      if (dropped === "foreign" && message?.body === "ping") this.#pong(from, message);
      return;
    }
    if (this.#phase !== "joined" && message.body !== "ping") return;
    this.#handle(from, message);
  }

  #pong(to: string, { ping }: ControlMessage): void {
    if (ping != null) this.#send(to, { pong: ping });
  }

  #handleOwn(body: ControlBody): void {
    if (this.#phase !== "joined") return;
    if (body.beginHandoff != null) this.placement.handOff(body.beginHandoff.tenures ?? { shards: [], epochs: [] });
    if (body.handoffDone != null) this.#handoffDone(this.#nodeId, body.handoffDone.tenures);
    if (body.lost != null) this.#lost(this.#nodeId, body.lost.tenures, body.lost.highestEpochs);
    if (body.serving != null) this.#serving(body.serving.tenures);
  }

  #handle(from: string, message: ControlMessage): void {
    const { body, greeting, ping, order } = message;
    // These come from whoever is no member yet, or never will be.
    if (body === "ping" && ping != null) this.#pong(from, message);
    else if (body === "greeting" && greeting != null) this.#greeted(from, greeting);
    else if (body === "order" && order != null) this.#ordered(from, order);
    else if (body === "pong" || body === "orderReply") return;
    else if (this.membership.knows(from) || from === this.#leaderId) this.#heard(from, message);
    else this.#stats.dropped.stranger += 1;
  }

  #heard(from: string, message: ControlMessage): void {
    const { beat, lead, suspect, survey, surveyReply, beginHandoff, handoffDone, delta, lost, serving } = message;
    this.#vigil.heard(from);
    switch (message.body) {
      case "beat":
        if (beat == null) return;
        this.#vigil.beat(from, beat);
        this.#coordinator?.compare(beat.version, beat.digest);
        return;
      case "lead":
        if (lead != null) this.#led(from, lead.term, lead.version, lead.gone, lead.kept);
        return;
      case "suspect":
        if (suspect != null) this.#vigil.voted(from, suspect.nodeId);
        return;
      case "leave":
        this.membership.left(from);
        return;
      case "survey":
        if (survey != null) this.#send(from, { surveyReply: this.#report(survey.term) });
        return;
      case "surveyReply":
        if (surveyReply != null) this.#coordinator?.surveyed(from, surveyReply);
        return;
      case "beginHandoff":
        if (beginHandoff?.tenures == null) return;
        if (beginHandoff.term < (this.#leader?.term ?? 0)) this.#stats.dropped.stale += 1;
        else this.placement.handOff(beginHandoff.tenures);
        return;
      case "handoffDone":
        this.#handoffDone(from, handoffDone?.tenures);
        return;
      case "delta": {
        const { table } = this.placement;
        if (delta == null || delta.version <= (table?.version ?? 0)) return;
        const next = table && applyDelta(table, delta);
        if (next === undefined) this.#refresh();
        else this.placement.adopt(next);
        return;
      }
      case "lost":
        if (lost != null) this.#lost(from, lost.tenures, lost.highestEpochs);
        return;
      case "serving":
        if (serving != null) this.#serving(serving.tenures);
        return;
      default:
        this.#stats.dropped.protocol += 1;
    }
  }

  #led(from: string, term: number, version: number, gone: readonly string[], kept: readonly string[]): void {
    if (term < (this.#leader?.term ?? 0)) {
      this.#stats.dropped.stale += 1;
      return;
    }
    if (this.#coordinator !== undefined) {
      if (term === this.#coordinator.term) return; // one of the two does not hold the key, and finds out
      this.#coordinator.close();
      this.#coordinator = undefined;
    }
    if (from !== this.#leader?.nodeId || term !== this.#leader.term) {
      this.#follow({ term, nodeId: from });
      this.#beat(); // so that a new coordinator hears of this node at once
    }
    this.membership.ruled(
      gone.filter((nodeId) => nodeId !== this.#nodeId),
      kept,
    );
    if (version > (this.placement.table?.version ?? 0)) this.#refresh();
  }

  #handoffDone(from: string, tenures: Tenures | null | undefined): void {
    if (tenures != null) this.#coordinator?.handoffDone(from, tenures);
  }

  #serving(tenures: Tenures | null | undefined): void {
    if (tenures != null) this.#coordinator?.serving(tenures);
  }

  #lost(from: string, tenures: Tenures | null | undefined, highestEpochs: readonly number[]): void {
    if (tenures != null) this.#coordinator?.lost(from, tenures, highestEpochs);
  }

  #greeted(
    from: string,
    { member: text, replaces }: { readonly member: string; readonly replaces: readonly string[] },
  ): void {
    const member = decodeMember(from, new TextEncoder().encode(text));
    if (member === undefined || this.membership.hasLeft(from)) {
      this.#stats.dropped[member === undefined ? "malformed" : "stale"] += 1;
      return;
    }
    this.membership.greeted(member);
    this.#vigil.heard(from);
    for (const old of replaces) if (nameOf(old) === nameOf(from) && old !== from) this.membership.left(old);
  }

  // ---- an operator's orders

  #ordered(from: string, { number, move, drain }: Order): void {
    const reply = (error?: MadangError) =>
      this.#send(from, { orderReply: { number, code: error?.code ?? "", message: error?.message ?? "" } });
    const done = (promise: Promise<void>) =>
      promise.then(
        () => reply(),
        (error) => reply(toMadangError(error)),
      );
    if (drain != null) {
      this.#options.onDrain?.();
      void done(
        this.drain().then((empty) => {
          if (!empty) throw clusterErrors.NOT_DRAINED();
        }),
      );
    } else if (this.#coordinator === undefined) reply(clusterErrors.NOT_COORDINATOR());
    else if (move == null) reply(clusterErrors.NOT_MOVED({ message: "this order is not known to this version" }));
    else {
      const to = this.#candidates().find(({ nodeId }) => nodeId === move.to || nameOf(nodeId) === move.to);
      if (to === undefined) reply(clusterErrors.NO_SUCH_NODE());
      else void done(this.#coordinator.move(move.shard, to.nodeId, move.force));
    }
  }
}
