// What the folders of the engines have in common: each makes one service, which is one engine or several.

import type { StartedEngine } from "./engine.ts";

export interface ServiceOptions {
  /** Where its programs lie (provision.ts). */
  readonly place: string;
  /** Its own, for configuration, data and logs. */
  readonly folder: string;
  readonly fixedPorts: boolean;
  readonly log: (line: string) => void;
}

export interface Service {
  readonly engines: readonly StartedEngine[];
  /** For clients, in the form of the variable that carries it (environment.ts). */
  readonly address: string;
  /** All engines; resolves when they answer. */
  start(): Promise<void>;
}
