// The version of what lies in a data folder, and the steps from one version to the next.

import type { RootDatabase } from "lmdb";
import { storageErrors } from "../errors.ts";

export type Migration = (root: RootDatabase) => void;

/** Step i takes a folder from version i to i + 1. Steps are added, never changed. */
export const migrations: readonly Migration[] = [
  () => {}, // 0 → 1: an empty folder; the tables are made when they are opened
  () => {}, // 1 → 2: the table of jobs, likewise; a program that does not know it must not read the journal
];

interface Meta {
  readonly schemaVersion: number;
  readonly bootEpoch: number;
}

/** Brings the folder to the newest version and counts this opening. Returns its number, from 1. Throws SCHEMA_TOO_NEW. */
export async function prepareSchema(root: RootDatabase, steps = migrations): Promise<number> {
  const before: Meta = root.get("meta") ?? { schemaVersion: 0, bootEpoch: 0 };
  if (before.schemaVersion > steps.length) {
    throw storageErrors.SCHEMA_TOO_NEW({
      message:
        `The data folder has schema version ${before.schemaVersion}; this program knows up to ${steps.length}. ` +
        "Start a newer version of Madang.",
      detail: { found: before.schemaVersion, known: steps.length },
    });
  }
  const bootEpoch = before.bootEpoch + 1;
  await root.transaction(() => {
    for (const step of steps.slice(before.schemaVersion)) step(root);
    root.putSync("meta", { schemaVersion: steps.length, bootEpoch });
  });
  return bootEpoch;
}
