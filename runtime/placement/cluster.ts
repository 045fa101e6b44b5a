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
import { Directory, tenuresOf } from "./directory.ts";
import { createEntrance, type Entrance } from "./enter.ts";
import { clusterErrors } from "./errors.ts";
import { type ControlBody, decodeControl, encodeControl } from "./messages.ts";
import type { Placement } from "./port.ts";
import type { PlacementSettings } from "./settings.ts";
import { newStats, type PlacementStats } from "./stats.ts";
import type { PlacementStore, Stored, StoredMember, Watch } from "./store.ts";
import { Succession } from "./succession.ts";
import { decodeTable, type ShardTable } from "./table.ts";
import { TableCopy } from "./table-copy.ts";
import { decodeCoordinator, decodeMember, encodeValue, nameOf } from "./values.ts";

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
  readonly #copy: TableCopy;
  readonly #succession: Succession;
  readonly #watches: Watch[] = [];
  #member: Member;
  #clusterId = "";
  #phase: "new" | "entering" | "joined" | "closed" = "new";
  #entrance: Entrance | undefined;
  #timer: Timer | undefined;
  #beatAtMs = Number.NEGATIVE_INFINITY;
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
    const own = { shardCount, settings, clock, store, log, stats: this.#stats };
    this.#copy = new TableCopy({ ...own, directory: this.placement, random });
    this.#succession = new Succession({
      office: {
        ...own,
        nodeId: this.#nodeId,
        candidates: () => this.#candidates(),
        peers: () => this.#peers(),
        ownReport: (term) => this.#report(term),
        send: (to, body) => this.#send(to, body),
        broadcast: (body) => this.#broadcast(body),
        adopt: (table) => void this.placement.adopt(table),
      },
      vigil: this.#vigil,
      joined: () => this.#phase === "joined",
      tableVersion: () => this.#copy.version,
      onFollowed: () => this.#remindSoon(),
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
      this.#succession.follow(stored && decodeCoordinator(stored.bytes));
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
    this.#copy.close();
    for (const watch of this.#watches) watch.close();
    try {
      await this.#succession.resign();
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
    const { term, leaderId, coordinator } = this.#succession;
    return {
      term,
      nodeId: leaderId,
      phase: coordinator?.phase ?? "following",
      handoffs: coordinator?.handoffs ?? 0,
    };
  }

  stats(): PlacementStats {
    return {
      ...this.#stats,
      term: this.#succession.term,
      version: this.#copy.version,
      owned: this.placement.owned,
      highestEpoch: Math.max(0, ...(this.placement.table?.owners.map(({ epoch }) => epoch) ?? [])),
      suspicions: this.#vigil.suspicions,
      members: this.membership.members().length,
      leading: Number(this.#succession.coordinator !== undefined),
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

  #peers(): string[] {
    const all = this.membership.members().map(({ nodeId }) => nodeId);
    return all.filter((nodeId) => nodeId !== this.#nodeId);
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
    if (stored !== undefined) this.#copy.shown(stored);
    void this.#succession.coordinator?.shown(stored);
  }

  // ---- time

  #tick(): void {
    const { clock, control, settings } = this.#options;
    const nowMs = clock.monotonicMs();
    const { leaderId, coordinator } = this.#succession;
    this.#vigil.observe(leaderId, coordinator !== undefined);
    if (control.connected) {
      const second = nowMs - this.#beatAtMs >= settings.beatEveryMs;
      if (second) {
        this.#beatAtMs = nowMs;
        this.#beat();
        this.#remind();
      }
      for (const nodeId of this.#vigil.suspects(second)) this.#broadcast({ suspect: { nodeId } });
      if (coordinator !== undefined) this.#succession.rule(second);
      else this.#succession.elect();
    }
    coordinator?.tick();
    this.#timer = clock.after(settings.tickMs, () => this.#tick());
  }

  #beat(): void {
    const { table } = this.placement;
    const beat = { version: table?.version ?? 0, digest: table?.digest ?? 0, ...this.#condition() };
    for (const hearer of this.#vigil.hearers(this.#succession.leaderId)) this.#send(hearer, { beat });
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
    const leader = this.#succession.leaderId;
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
      highestTerm: this.#succession.term,
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
    else if (this.membership.knows(from) || from === this.#succession.leaderId) this.#heard(from, message);
    else this.#stats.dropped.stranger += 1;
  }

  #heard(from: string, message: ControlMessage): void {
    const { beat, lead, suspect, survey, surveyReply, beginHandoff, handoffDone, delta, lost, serving } = message;
    this.#vigil.heard(from);
    switch (message.body) {
      case "beat":
        if (beat == null) return;
        this.#vigil.beat(from, beat);
        this.#succession.coordinator?.compare(beat.version, beat.digest);
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
        if (surveyReply != null) this.#succession.coordinator?.surveyed(from, surveyReply);
        return;
      case "beginHandoff":
        if (beginHandoff?.tenures == null) return;
        if (beginHandoff.term < this.#succession.term) this.#stats.dropped.stale += 1;
        else this.placement.handOff(beginHandoff.tenures);
        return;
      case "handoffDone":
        this.#handoffDone(from, handoffDone?.tenures);
        return;
      case "delta":
        if (delta != null) this.#copy.changed(delta);
        return;
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
    const heard = this.#succession.led(from, term);
    if (heard === "stale") this.#stats.dropped.stale += 1;
    if (heard === "stale" || heard === "disputed") return;
    if (heard === "new") this.#beat(); // so that a new coordinator hears of this node at once
    this.membership.ruled(
      gone.filter((nodeId) => nodeId !== this.#nodeId),
      kept,
    );
    if (version > this.#copy.version) this.#copy.refresh();
  }

  #handoffDone(from: string, tenures: Tenures | null | undefined): void {
    if (tenures != null) this.#succession.coordinator?.handoffDone(from, tenures);
  }

  #serving(tenures: Tenures | null | undefined): void {
    if (tenures != null) this.#succession.coordinator?.serving(tenures);
  }

  #lost(from: string, tenures: Tenures | null | undefined, highestEpochs: readonly number[]): void {
    if (tenures != null) this.#succession.coordinator?.lost(from, tenures, highestEpochs);
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
    const { coordinator } = this.#succession;
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
    } else if (coordinator === undefined) reply(clusterErrors.NOT_COORDINATOR());
    else if (move == null) reply(clusterErrors.NOT_MOVED({ message: "this order is not known to this version" }));
    else {
      const to = this.#candidates().find(({ nodeId }) => nodeId === move.to || nameOf(nodeId) === move.to);
      if (to === undefined) reply(clusterErrors.NO_SUCH_NODE());
      else void done(coordinator.move(move.shard, to.nodeId, move.force));
    }
  }
}
