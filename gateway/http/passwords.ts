// Passwords: argon2id, a few at a time, so that a thousand attempts do not starve the node. The bound is on what a node does, so
// each has its own.

import { hash, verify } from "@node-rs/argon2";
import { createGate } from "../../runtime/index.ts";
import { httpErrors } from "./errors.ts";
import type { HttpSettings } from "./settings.ts";

export interface Passwords {
  /** Both reject with OVERLOADED when too many wait. */
  hash(password: string): Promise<string>;
  /** Does the same work when there is nothing to compare with, so that nobody learns which names exist. */
  matches(password: string, kept: string | undefined): Promise<boolean>;
}

export function createPasswords(settings: HttpSettings): Passwords {
  // The library's own default is argon2id; its enumeration cannot be imported with isolated modules.
  const options = {
    memoryCost: settings.hashMemoryKiB,
    timeCost: settings.hashPasses,
    parallelism: 1,
  };
  const gate = createGate(settings.hashingAtOnceMax);
  let waiting = 0;
  const bounded = async <T>(task: () => Promise<T>): Promise<T> => {
    if (waiting >= settings.hashingWaitingMax + settings.hashingAtOnceMax) {
      throw httpErrors.OVERLOADED({ retryAfterMs: 2_000 });
    }
    waiting += 1;
    try {
      return await gate(task);
    } finally {
      waiting -= 1;
    }
  };
  let decoy: Promise<string> | undefined;
  return {
    hash: (password) => bounded(() => hash(password, options)),
    matches: (password, kept) =>
      bounded(async () => {
        decoy ??= hash("nobody has this password", options);
        const matched = await verify(kept ?? (await decoy), password);
        return matched && kept !== undefined;
      }),
  };
}
