// What the folders of the engines have in common: each makes one service, which is one engine or several.

import type { Authority } from "./authority.ts";
import type { StartedEngine } from "./engine.ts";

export interface ServiceOptions {
  /** Where its programs lie (provision.ts). */
  readonly place: string;
  /** Its own, for configuration, data and logs. */
  readonly folder: string;
  readonly fixedPorts: boolean;
  /** Signs its certificate: then it speaks TLS alone, and asks everybody who he is. */
  readonly authority?: Authority | undefined;
  readonly log: (line: string) => void;
}

export interface Service {
  readonly engines: readonly StartedEngine[];
  /** What clients set to reach it, and to be let in. */
  readonly environment: Readonly<Record<string, string>>;
  /** All engines; resolves when they answer. */
  start(): Promise<void>;
}
