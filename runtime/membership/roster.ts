// Who is in the cluster, as this node sees it: what Consul lists, what nodes say of themselves, and what the coordinator has
// found out.
//
// (M1) Who has left, or was replaced by a younger incarnation of its name, never comes back: a node id is used once.
// (M2) A node that Consul does not list any more is here as long as it is heard: trouble with Consul makes nobody disappear.
// (M3) onLeft is called once for each node that goes; one that was only thought dead may come back, and go again.

import type { Member, Membership } from "./port.ts";

export interface RosterOptions {
  readonly own: Member;
  /** After so long without a word, a node that is not listed is gone. */
  readonly absentMs: number;
  readonly nowMs: () => number;
  readonly silenceMs: (nodeId: string) => number;
}

interface Entry {
  member: Member;
  /** Undefined while Consul lists it. */
  absentSinceMs: number | undefined;
  here: boolean;
}

/** Remembered departures: far more than nodes that can still be listed although they have left. */
const LEFT_MAX = 1_000;

export class Roster implements Membership {
  readonly #options: RosterOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #left = new Set<string>();
  readonly #onLeft: ((nodeId: string) => void)[] = [];
  #gone: ReadonlySet<string> = new Set();
  #kept: ReadonlySet<string> = new Set();
  #members: readonly Member[] | undefined;

  constructor(options: RosterOptions) {
    this.#options = options;
    const { own } = options;
    this.#entries.set(own.nodeId, { member: own, absentSinceMs: undefined, here: true });
  }

  members(): readonly Member[] {
    this.#members ??= [...this.#entries.values()].filter(({ here }) => here).map(({ member }) => member);
    return this.#members;
  }

  onLeft(listener: (nodeId: string) => void): void {
    this.#onLeft.push(listener);
  }

  has(nodeId: string): boolean {
    return this.#entries.get(nodeId)?.here === true;
  }

  /** Here or not, as long as something is known of it. */
  knows(nodeId: string): boolean {
    return this.#entries.has(nodeId) && !this.#left.has(nodeId);
  }

  hasLeft(nodeId: string): boolean {
    return this.#left.has(nodeId);
  }

  /** Known, and not listed by Consul. */
  absent(): string[] {
    return [...this.#entries].filter(([, { absentSinceMs }]) => absentSinceMs !== undefined).map(([nodeId]) => nodeId);
  }

  /** What Consul lists. */
  listed(members: readonly Member[]): void {
    const there = new Set(members.map(({ nodeId }) => nodeId));
    for (const [nodeId, entry] of this.#entries) {
      if (!there.has(nodeId) && nodeId !== this.#options.own.nodeId) entry.absentSinceMs ??= this.#options.nowMs();
    }
    for (const member of members) this.#put(member, undefined);
    this.look();
  }

  /** It has told of itself, before Consul lists it. */
  greeted(member: Member): void {
    const entry = this.#entries.get(member.nodeId);
    if (entry === undefined) this.#put(member, this.#options.nowMs());
    else entry.member = member;
    this.look();
  }

  /** This node tells something else of itself. */
  changed(member: Member): void {
    const entry = this.#entries.get(member.nodeId);
    if (entry !== undefined) entry.member = member;
    this.#members = undefined;
  }

  /** (M1) */
  left(nodeId: string): void {
    if (nodeId === this.#options.own.nodeId) return;
    this.#left.add(nodeId);
    const [oldest] = this.#left;
    if (this.#left.size > LEFT_MAX && oldest !== undefined) this.#left.delete(oldest);
    this.look();
  }

  /** The coordinator's word: who is dead although Consul may list it, and alive although it may not. */
  ruled(gone: readonly string[], kept: readonly string[]): void {
    this.#gone = new Set(gone);
    this.#kept = new Set(kept);
    this.look();
  }

  /** Time has passed, or something is known anew. */
  look(): void {
    const departed: string[] = [];
    for (const [nodeId, entry] of this.#entries) {
      const here = this.#isHere(nodeId, entry);
      if (here !== entry.here) this.#members = undefined;
      if (entry.here && !here) departed.push(nodeId);
      entry.here = here;
      if (!here && entry.absentSinceMs !== undefined) this.#entries.delete(nodeId);
    }
    for (const nodeId of departed) for (const listener of this.#onLeft) listener(nodeId);
  }

  #put(member: Member, absentSinceMs: number | undefined): void {
    const entry = this.#entries.get(member.nodeId);
    if (entry === undefined) this.#entries.set(member.nodeId, { member, absentSinceMs, here: false });
    else {
      if (member.nodeId !== this.#options.own.nodeId) entry.member = member;
      entry.absentSinceMs = absentSinceMs;
    }
    this.#members = undefined;
  }

  #isHere(nodeId: string, { absentSinceMs }: Entry): boolean {
    if (nodeId === this.#options.own.nodeId) return true;
    if (this.#left.has(nodeId) || this.#gone.has(nodeId)) return false;
    if (absentSinceMs === undefined || this.#kept.has(nodeId)) return true;
    const { nowMs, absentMs, silenceMs } = this.#options;
    return nowMs() - absentSinceMs < absentMs || silenceMs(nodeId) < absentMs;
  }
}
