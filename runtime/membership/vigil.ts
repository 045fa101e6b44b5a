// Who keeps watch over whom, and what comes of it: each node beats to a few others, whoever hears nothing for too long says so,
// and what enough of them say is true. Decides; what has to be sent is sent by its caller.
//
// (V1) Nobody is dead on one voice, unless there is only one other.
// (V2) A node that was thought dead is alive again with its first word.
// (V3) Shards are given only to nodes that this one has heard: Consul may list ghosts after its data went back.

import type { Clock } from "../clock.ts";
import type { Candidate } from "../placement/balance.ts";
import type { PlacementSettings } from "../placement/settings.ts";
import { Detector, predecessors, successors } from "./detector.ts";
import type { Member } from "./port.ts";
import { Roster } from "./roster.ts";

/** Longer than a look takes: the process, or the machine, stood still meanwhile. */
const STOOD_STILL_MS = 1_500;
/** A vote is repeated each second; one repetition may be lost. */
const VOTE_MS = 2_500;
/** Two, so that one broken way between two nodes makes nobody dead. */
const VOTES_NEEDED = 2;

/** What a beat says of its sender. */
export interface Condition {
  readonly draining: boolean;
  readonly leaseOver: boolean;
}

/** The coordinator's word on who is here. */
export interface Ruling {
  readonly gone: readonly string[];
  readonly kept: readonly string[];
  readonly changed: boolean;
}

export class Vigil {
  readonly roster: Roster;
  readonly #nodeId: string;
  readonly #settings: PlacementSettings;
  readonly #clock: Clock;
  readonly #detector: Detector;
  readonly #conditions = new Map<string, Condition>();
  readonly #suspected = new Set<string>();
  /** By the votes, as ruled while this node is the coordinator. */
  readonly #dead = new Set<string>();
  #ruling = "";
  #lookedAtMs: number;
  /** Nodes that this one has begun to suspect. */
  suspicions = 0;

  constructor(own: Member, settings: PlacementSettings, clock: Clock) {
    this.#nodeId = own.nodeId;
    this.#settings = settings;
    this.#clock = clock;
    this.#lookedAtMs = clock.monotonicMs();
    this.#detector = new Detector(clock.monotonicMs());
    this.roster = new Roster({
      own,
      absentMs: settings.absentMs,
      nowMs: () => clock.monotonicMs(),
      silenceMs: (nodeId) => this.#silenceMs(nodeId),
    });
    this.roster.onLeft((nodeId) => {
      this.#conditions.delete(nodeId);
      this.#suspected.delete(nodeId);
      this.#detector.forget(nodeId);
    });
  }

  #silenceMs(nodeId: string): number {
    return this.#detector.silenceMs(nodeId, this.#clock.monotonicMs());
  }

  #ring(): string[] {
    return this.roster.members().map(({ nodeId }) => nodeId);
  }

  /** Every clock of silence starts anew. */
  restart(): void {
    this.#lookedAtMs = this.#clock.monotonicMs();
    this.#detector.restart(this.#lookedAtMs);
  }

  // ---- hearing

  heard(nodeId: string): void {
    this.#detector.heard(nodeId, this.#clock.monotonicMs());
    this.#dead.delete(nodeId); // (V2)
  }

  beat(from: string, condition: Condition): void {
    this.#conditions.set(from, condition);
  }

  voted(voter: string, suspect: string): void {
    this.#detector.vote(voter, suspect, this.#clock.monotonicMs());
  }

  /** Whom this node beats to. */
  hearers(leader: string): Set<string> {
    const hearers = new Set(successors(this.#ring(), this.#nodeId, this.#settings.observers));
    if (leader !== "") hearers.add(leader);
    hearers.delete(this.#nodeId);
    return hearers;
  }

  // ---- watching

  /** Before each look: time has passed, and members may have changed. A coordinator observes all. */
  observe(leader: string, leading: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lookedAtMs > this.#settings.tickMs + STOOD_STILL_MS) this.restart();
    this.#lookedAtMs = nowMs;
    this.roster.look();
    const ring = this.#ring();
    const observed = new Set(leading ? ring : predecessors(ring, this.#nodeId, this.#settings.observers));
    if (leader !== "" && !this.roster.hasLeft(leader)) observed.add(leader); // also before Consul lists it
    observed.delete(this.#nodeId);
    this.#detector.observe(observed, nowMs);
  }

  /** Whom the others have to be told of: those that have fallen silent, and, with `all`, those that still are. */
  suspects(all: boolean): string[] {
    const nowMs = this.#clock.monotonicMs();
    const silent = this.#detector.silent(nowMs, this.#settings.suspectMs);
    const fresh = new Set(silent.filter((nodeId) => !this.#suspected.has(nodeId)));
    this.suspicions += fresh.size;
    this.#suspected.clear();
    for (const nodeId of silent) this.#suspected.add(nodeId);
    const told = silent.filter((nodeId) => all || fresh.has(nodeId));
    for (const nodeId of told) this.voted(this.#nodeId, nodeId);
    return told;
  }

  isSuspected(nodeId: string): boolean {
    return this.#suspected.has(nodeId);
  }

  /** (V1) */
  #isVotedDead(nodeId: string): boolean {
    const others = Math.max(1, this.roster.members().length - 1);
    return this.#detector.votes(nodeId, this.#clock.monotonicMs(), VOTE_MS) >= Math.min(VOTES_NEEDED, others);
  }

  /** A coordinator is down when it has left, when it is voted dead, or when neither Consul nor its voice knows of it. */
  isDown(leader: string): boolean {
    if (leader === "" || this.roster.hasLeft(leader) || this.#isVotedDead(leader)) return true;
    return !this.roster.has(leader) && this.#silenceMs(leader) >= this.#settings.absentMs;
  }

  /** Votes against a node that has just become the coordinator were for its silence before. */
  follow(leader: string): void {
    this.#detector.forgetVotes(leader);
  }

  // ---- ruling, as the coordinator

  /** A term begins: the last coordinator is dead, if it is known at all. */
  beginRuling(lastLeader: string): void {
    this.#dead.clear();
    if (this.roster.knows(lastLeader)) this.#dead.add(lastLeader);
    this.#ruling = "";
    this.rule();
  }

  rule(): Ruling {
    for (const nodeId of this.#ring()) if (nodeId !== this.#nodeId && this.#isVotedDead(nodeId)) this.#dead.add(nodeId);
    for (const nodeId of this.#dead) if (!this.roster.knows(nodeId)) this.#dead.delete(nodeId);
    const gone = [...this.#dead].sort();
    const kept = this.roster
      .absent()
      .filter((nodeId) => this.#silenceMs(nodeId) < this.#settings.absentMs)
      .sort();
    const ruling = JSON.stringify([gone, kept]);
    const changed = ruling !== this.#ruling;
    this.#ruling = ruling;
    if (changed) this.roster.ruled(gone, kept);
    return { gone, kept, changed };
  }

  /** Living nodes that own shards or could. `own` is the condition of this node. */
  candidates(own: Condition): Candidate[] {
    return this.roster
      .members()
      .filter(({ roles }) => roles.includes("actors"))
      .map(({ nodeId, version, status }) => {
        const condition = nodeId === this.#nodeId ? own : this.#conditions.get(nodeId);
        const heard = nodeId === this.#nodeId || this.#detector.hasHeard(nodeId); // (V3)
        const draining = status === "draining" || condition?.draining === true;
        return { nodeId, version, draining, takes: heard && condition?.leaseOver !== true };
      });
  }
}
