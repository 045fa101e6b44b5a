// Which shards go where. Pure: owners and nodes in, moves out.
//
// (B1) A shard goes only to a node that takes shards; a draining one keeps none.
// (B2) Afterwards every node has its fair share ± the unfair share, and no fewer moves could do that.
// (B3) While versions are mixed nothing moves for balance; what has to go somewhere goes to the newest first.

export interface Candidate {
  readonly nodeId: string;
  readonly version: string;
  /** Takes new shards. One that does not, keeps what it has unless it is draining. */
  readonly takes: boolean;
  readonly draining: boolean;
}

export interface Move {
  readonly shard: number;
  readonly to: string;
}

export interface Plan {
  /** Shards without a living owner: they have no service, so they go at once. */
  readonly orphans: readonly Move[];
  /** Shards with one: it is asked to hand them off. */
  readonly moves: readonly Move[];
}

const nothing: Plan = { orphans: [], moves: [] };

/** `owners` has a node id a shard; one that is not among `nodes`, such as "", is no living owner. */
export function plan(owners: readonly string[], nodes: readonly Candidate[], unfairShare: number): Plan {
  const takers = nodes.filter(({ takes, draining }) => takes && !draining);
  if (takers.length === 0) return nothing;
  const scales = new Scales(owners, nodes, takers, unfairShare);
  const draining = new Set(nodes.filter((node) => node.draining).map(({ nodeId }) => nodeId));
  const orphans: Move[] = [];
  const moves: Move[] = [];
  const homeless: number[] = [];
  owners.forEach((owner, shard) => {
    if (!scales.has(owner)) orphans.push({ shard, to: scales.put(shard) });
    else if (draining.has(owner)) homeless.push(shard);
  });
  for (const shard of homeless) moves.push({ shard, to: scales.put(shard) });
  const mixed = new Set(nodes.map(({ version }) => version)).size > 1;
  if (!mixed) moves.push(...scales.level(new Set(moves.map(({ shard }) => shard))));
  return { orphans, moves };
}

class Scales {
  readonly #shards = new Map<string, number[]>();
  readonly #takers: readonly string[];
  readonly #newest: readonly string[];
  readonly #least: number;
  readonly #most: number;

  constructor(
    owners: readonly string[],
    nodes: readonly Candidate[],
    takers: readonly Candidate[],
    unfairShare: number,
  ) {
    for (const { nodeId } of nodes) this.#shards.set(nodeId, []);
    owners.forEach((owner, shard) => this.#shards.get(owner)?.push(shard));
    this.#takers = takers.map(({ nodeId }) => nodeId).sort();
    const newest = takers.map(({ version }) => version).reduce((a, b) => (compareVersions(a, b) >= 0 ? a : b));
    this.#newest = takers.filter(({ version }) => version === newest).map(({ nodeId }) => nodeId);
    // Whoever neither takes nor drains keeps its shards, so the others share what is left.
    const fixed = nodes.filter(({ takes, draining }) => !takes && !draining);
    const kept = fixed.reduce((sum, { nodeId }) => sum + this.#count(nodeId), 0);
    const fair = (owners.length - kept) / takers.length;
    this.#least = Math.min(Math.floor(fair), Math.ceil(fair * (1 - unfairShare)));
    this.#most = Math.max(Math.ceil(fair), Math.floor(fair * (1 + unfairShare)));
  }

  has(nodeId: string): boolean {
    return this.#shards.has(nodeId);
  }

  /** For a shard that has to go somewhere. */
  put(shard: number): string {
    const newest = this.#lightest(this.#newest);
    const to = this.#count(newest) < this.#most ? newest : this.#lightest(this.#takers);
    this.#shards.get(to)?.push(shard);
    return to;
  }

  /** (B2) `moving` has a new home already, and would only change it again. */
  level(moving: ReadonlySet<number>): Move[] {
    const moves: Move[] = [];
    const taken = new Set(moving);
    for (;;) {
      const from = this.#heaviest();
      const to = this.#lightest(this.#takers);
      if (this.#count(from) <= this.#most && this.#count(to) >= this.#least) return moves;
      const shards = this.#shards.get(from) as number[];
      const at = shards.findLastIndex((shard) => !taken.has(shard));
      if (at < 0 || this.#count(from) - this.#count(to) < 2) return moves;
      const [shard] = shards.splice(at, 1) as [number];
      this.#shards.get(to)?.push(shard);
      moves.push({ shard, to });
      taken.add(shard);
    }
  }

  #count(nodeId: string): number {
    return this.#shards.get(nodeId)?.length ?? 0;
  }

  #lightest(among: readonly string[]): string {
    return among.reduce((a, b) => (this.#count(b) < this.#count(a) ? b : a));
  }

  #heaviest(): string {
    return this.#takers.reduce((a, b) => (this.#count(b) > this.#count(a) ? b : a));
  }
}

/** By the numbers in them, so that 0.10 is newer than 0.9. */
export function compareVersions(a: string, b: string): number {
  const parts = (version: string) => version.split(/[^0-9]+/).map(Number);
  const [ours, theirs] = [parts(a), parts(b)];
  for (let at = 0; at < Math.max(ours.length, theirs.length); at++) {
    const difference = (ours[at] ?? 0) - (theirs[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : Number(a > b);
}
