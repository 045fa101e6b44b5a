// What all nodes know of epochs and tenures, asked by whoever becomes the coordinator (C2).

import type { SurveyReply, Tenures } from "../../proto/index.ts";
import type { Clock } from "../clock.ts";
import { isEpoch } from "../fence.ts";
import type { ControlBody } from "./messages.ts";
import type { Report } from "./recover.ts";

export interface SurveyParts {
  readonly nodeId: string;
  readonly shardCount: number;
  readonly clock: Clock;
  /** So long is waited for those that do not answer. */
  readonly surveyMs: number;
  /** Whom to ask, beside this node itself. */
  peers(): readonly string[];
  /** What this node itself knows, for the survey of this term. */
  ownReport(term: number): SurveyReply;
  broadcast(body: ControlBody): void;
}

export interface FullReport extends Report {
  readonly highestTerm: number;
  readonly released: Tenures;
}

export class Survey {
  readonly #parts: SurveyParts;
  readonly #replies = new Map<string, SurveyReply>();
  #heard: (() => void) | undefined;
  #closed = false;

  constructor(parts: SurveyParts) {
    this.#parts = parts;
  }

  async ask(term: number): Promise<FullReport[]> {
    const { nodeId, clock, surveyMs, broadcast, peers, ownReport, shardCount } = this.#parts;
    this.#replies.clear();
    const asked = peers();
    broadcast({ survey: { term } });
    if (asked.length > 0) {
      await new Promise<void>((resolve) => {
        const timer = clock.after(surveyMs, resolve);
        this.#heard = () => {
          if (!this.#closed && !asked.every((peer) => this.#replies.has(peer))) return;
          timer.cancel();
          resolve();
        };
        this.#heard();
      });
      this.#heard = undefined;
    }
    this.#replies.set(nodeId, ownReport(term));
    return [...this.#replies]
      .filter(([, { epochs }]) => epochs.length === shardCount && epochs.every(isEpoch))
      .map(([from, { version, digest, epochs, held, released, highestTerm }]) => ({
        nodeId: from,
        version,
        digest,
        epochs,
        highestTerm,
        held: new Map(held?.shards.map((shard, at) => [shard, held.epochs[at] ?? 0])),
        released: released ?? { shards: [], epochs: [] },
      }));
  }

  /** An answer, in the term that asks. */
  heard(from: string, reply: SurveyReply): void {
    this.#replies.set(from, reply);
    this.#heard?.();
  }

  /** Nobody is waited for any more. */
  close(): void {
    this.#closed = true;
    this.#heard?.();
  }
}
