// Who is the coordinator, as this node knows it: the one that it follows, or this node itself when that one is down and it is the
// first in line.
//
// (S1) The key changes hands by its version in Consul, so of two that take it one gets it. Not by a session: those take twice their
//      time to live to end.
// (S2) Terms only rise: who speaks in the name of an older one is not heard.

import { toMadangError } from "../errors.ts";
import type { Vigil } from "../membership/vigil.ts";
import { Coordinator, type CoordinatorOptions, type Key } from "./coordinator.ts";
import { type CoordinatorValue, decodeCoordinator, encodeValue } from "./values.ts";

export interface SuccessionParts {
  /** What this node is the coordinator with, when it is. */
  readonly office: Omit<CoordinatorOptions, "deposed">;
  readonly vigil: Vigil;
  /** This node is here still. */
  joined(): boolean;
  /** Of the table that this node knows. */
  tableVersion(): number;
  /** Another node leads: what it has to know can be told. */
  onFollowed(): void;
}

export class Succession {
  readonly #parts: SuccessionParts;
  #leader: CoordinatorValue | undefined;
  #coordinator: Coordinator | undefined;
  #leaderlessSinceMs: number | undefined;
  #taking = false;

  constructor(parts: SuccessionParts) {
    this.#parts = parts;
  }

  /** Highest that this node has heard of; 0: none. */
  get term(): number {
    return this.#leader?.term ?? 0;
  }

  /** "": nobody. */
  get leaderId(): string {
    return this.#leader?.nodeId ?? "";
  }

  /** This node, as the coordinator; undefined while it is not. */
  get coordinator(): Coordinator | undefined {
    return this.#coordinator;
  }

  // ---- following

  follow(leader: CoordinatorValue | undefined): void {
    const { office, vigil, onFollowed } = this.#parts;
    if (leader === undefined) return;
    this.#leader = leader;
    this.#leaderlessSinceMs = undefined;
    vigil.follow(leader.nodeId);
    if (leader.nodeId !== office.nodeId) onFollowed();
  }

  /** Somebody says that it leads. `stale`: it does not (S2). `new`: it is another one, or leads anew. */
  led(from: string, term: number): "stale" | "known" | "new" | "disputed" {
    if (term < this.term) return "stale";
    if (this.#coordinator !== undefined) {
      if (term === this.#coordinator.term) return "disputed"; // one of the two does not hold the key, and finds out
      this.#coordinator.close();
      this.#coordinator = undefined;
    }
    if (from === this.leaderId && term === this.term) return "known";
    this.follow({ term, nodeId: from });
    return "new";
  }

  // ---- taking the key

  /** When nobody leads: the first in line of those who stay takes the key, and the next one if it does not. */
  elect(): void {
    const { office, vigil } = this.#parts;
    const { nodeId: own, settings, clock, log } = office;
    const leader = this.leaderId;
    if (!vigil.isDown(leader)) {
      this.#leaderlessSinceMs = undefined;
      return;
    }
    const nowMs = clock.monotonicMs();
    this.#leaderlessSinceMs ??= nowMs;
    const order = office
      .candidates()
      .filter(({ nodeId }) => nodeId !== leader && !vigil.isSuspected(nodeId))
      .sort((a, b) => Number(a.draining) - Number(b.draining) || (a.nodeId < b.nodeId ? -1 : 1));
    const rank = order.findIndex(({ nodeId }) => nodeId === own);
    if (rank < 0 || this.#taking || nowMs - this.#leaderlessSinceMs < rank * settings.electionStepMs) return;
    this.#taking = true;
    void this.#take(leader)
      .catch((error) => log.warn({ error: toMadangError(error) }, "no coordinator, and Consul does not answer"))
      .finally(() => {
        this.#taking = false;
      });
  }

  /** (S1) */
  async #take(dead: string): Promise<void> {
    const { office, vigil, joined } = this.#parts;
    const { store, nodeId } = office;
    const stored = await store.read("coordinator");
    const value = stored && decodeCoordinator(stored.bytes);
    if (value !== undefined && value.nodeId !== dead && value.nodeId !== nodeId) {
      this.follow(value); // somebody was faster
      vigil.observe(value.nodeId, false);
      if (!vigil.isDown(value.nodeId)) return;
    }
    const term = Math.max(value?.term ?? 0, this.term) + 1;
    const version = await store.write("coordinator", encodeValue({ term, nodeId }), stored?.version ?? 0);
    if (version !== undefined && joined()) this.#lead({ term, version }, dead);
  }

  // ---- leading

  #lead(key: Key, dead: string): void {
    const { office, vigil } = this.#parts;
    const { nodeId, log, stats } = office;
    log.info({ term: key.term }, "this node is the coordinator now");
    stats.elections += 1;
    this.follow({ term: key.term, nodeId });
    vigil.observe(nodeId, true);
    vigil.beginRuling(dead);
    this.#coordinator = new Coordinator(key, {
      ...office,
      deposed: (by) => {
        log.info({ term: by?.term, by: by?.nodeId }, "another node is the coordinator");
        this.#coordinator = undefined;
        this.follow(by);
      },
    });
    this.rule(true);
  }

  /** As the coordinator: says who leads and who is here, when that has changed or it is time to say it again. */
  rule(again: boolean): void {
    const { office, vigil, tableVersion } = this.#parts;
    const { gone, kept, changed } = vigil.rule();
    if (!changed && !again) return;
    const term = this.#coordinator?.term ?? 0;
    this.#leader = { term, nodeId: office.nodeId };
    office.broadcast({ lead: { term, version: tableVersion(), gone: [...gone], kept: [...kept] } });
  }

  /** Hands the key back, if this node has it. */
  async resign(): Promise<void> {
    await this.#coordinator?.resign();
  }
}
