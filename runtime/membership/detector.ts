// Who has been silent for how long, and who else says so. Pure: time is given.
//
// (D1) Silence counts only while this node hears at all: after a way was lost, or the process stood still, every clock of
//      silence starts anew.
// (D2) A vote counts as long as its voter repeats it.

export class Detector {
  readonly #heardAtMs = new Map<string, number>();
  /** Since when silence of the node means something. */
  readonly #observedSinceMs = new Map<string, number>();
  readonly #votes = new Map<string, Map<string, number>>();
  #restartedAtMs: number;

  constructor(nowMs: number) {
    this.#restartedAtMs = nowMs;
  }

  /** Whose silence this node looks for from now on. */
  observe(nodeIds: ReadonlySet<string>, nowMs: number): void {
    for (const nodeId of nodeIds) if (!this.#observedSinceMs.has(nodeId)) this.#observedSinceMs.set(nodeId, nowMs);
    for (const nodeId of this.#observedSinceMs.keys()) if (!nodeIds.has(nodeId)) this.#observedSinceMs.delete(nodeId);
  }

  heard(nodeId: string, nowMs: number): void {
    this.#heardAtMs.set(nodeId, nowMs);
  }

  hasHeard(nodeId: string): boolean {
    return this.#heardAtMs.has(nodeId);
  }

  /** (D1) */
  restart(nowMs: number): void {
    this.#restartedAtMs = nowMs;
    this.#votes.clear();
  }

  /** Infinite for a node that this one neither observes nor has heard. */
  silenceMs(nodeId: string, nowMs: number): number {
    const heard = this.#heardAtMs.get(nodeId);
    const observed = this.#observedSinceMs.get(nodeId);
    if (heard === undefined && observed === undefined) return Number.POSITIVE_INFINITY;
    return nowMs - Math.max(heard ?? 0, observed ?? 0, this.#restartedAtMs);
  }

  silent(nowMs: number, afterMs: number): string[] {
    return [...this.#observedSinceMs.keys()].filter((nodeId) => this.silenceMs(nodeId, nowMs) >= afterMs);
  }

  vote(voter: string, suspect: string, nowMs: number): void {
    const votes = this.#votes.get(suspect) ?? new Map<string, number>();
    this.#votes.set(suspect, votes.set(voter, nowMs));
  }

  /** (D2) Voters of the last `withinMs`. */
  votes(suspect: string, nowMs: number, withinMs: number): number {
    const votes = this.#votes.get(suspect);
    if (votes === undefined) return 0;
    for (const [voter, atMs] of votes) if (nowMs - atMs > withinMs) votes.delete(voter);
    if (votes.size === 0) this.#votes.delete(suspect);
    return votes.size;
  }

  forgetVotes(suspect: string): void {
    this.#votes.delete(suspect);
  }

  /** Whatever was known of the node. */
  forget(nodeId: string): void {
    this.#heardAtMs.delete(nodeId);
    this.#observedSinceMs.delete(nodeId);
    this.#votes.delete(nodeId);
  }
}

/** The `count` nodes after `nodeId` in the ring of all. */
export function successors(ring: readonly string[], nodeId: string, count: number): string[] {
  return around([...ring].sort(), nodeId, count);
}

/** The `count` nodes before `nodeId`: those that `nodeId` is a successor of. */
export function predecessors(ring: readonly string[], nodeId: string, count: number): string[] {
  return around([...ring].sort().reverse(), nodeId, count);
}

function around(ring: readonly string[], nodeId: string, count: number): string[] {
  const at = ring.indexOf(nodeId);
  if (at < 0) return [];
  return Array.from(
    { length: Math.min(count, ring.length - 1) },
    (_, step) => ring[(at + step + 1) % ring.length],
  ).filter((other) => other !== undefined);
}
