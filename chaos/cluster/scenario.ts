// What `make test-cluster` is made of: scenarios on real engines, each of which states facts and prints the numbers that it saw.

import type { Cluster, Layout } from "../../tools/cluster/cluster.ts";
import type { Services } from "../../tools/services/index.ts";

export interface World {
  /** Started for the first scenario that needs them, and shared. Not for one with engines of its own. */
  readonly services: Services;
  /** A cluster of its own, ended with the scenario. Its settings say where the engines are, if these are not the shared ones. */
  cluster(layout: Partial<Layout>, settings?: Readonly<Record<string, string>>): Promise<Cluster>;
  /** A fact: counted, and printed. A wrong one does not end the scenario. */
  fact(holds: boolean, sentence: string): void;
  /**
   * A time or a ratio that the design sets a goal for. Printed with its goal, and not counted as a failure when it misses: a
   * machine that is busy with something else must not make a promise look broken.
   */
  figure(met: boolean, sentence: string, goal: string): void;
  /** Something that was seen or measured. */
  say(line: string): void;
}

export interface Scenario {
  readonly name: string;
  /** Longer than this, and it is ended as failed. */
  readonly withinMs: number;
  /** It starts all that it needs by itself. */
  readonly ownEngines?: boolean;
  run(world: World): Promise<void>;
}
