// The stores of nodes that run in the one process which has the data.

import { Claims, LocalFence } from "./fence/local.ts";
import type { KeyValue } from "./kv/port.ts";
import { createLocalLogs } from "./log/local.ts";
import { createLocalRegisters } from "./registers/local.ts";
import type { StorageSettings } from "./settings.ts";
import type { Stores } from "./stores.ts";
import { createLocalWakeList } from "./wake/local.ts";

export interface SharedStores extends Stores {
  /** Rises by one each time the data is opened. A placement without servers uses it as the epoch of every shard. */
  readonly bootEpoch: number;
  /**
   * The same data as another node of this process sees it: with a fence of its own, so that what one node claims the
   * others lose. A node that starts again is a new node. Closing one closes the data.
   */
  forNode(): Stores;
}

export function createLocalStores(
  keyValue: KeyValue,
  settings: StorageSettings,
  bootEpoch: number,
  release: () => void,
): SharedStores {
  const claims = new Claims(keyValue);
  const registers = createLocalRegisters(keyValue);
  const wake = createLocalWakeList(keyValue);
  let closed: Promise<void> | undefined;

  const forNode = (): Stores => {
    const fence = new LocalFence(claims);
    const logs = createLocalLogs(keyValue, fence, settings);
    return { logs, registers, wake, fence, stats: () => keyValue.stats(), close };
  };
  const close = () => {
    closed ??= keyValue.close().then(release);
    return closed;
  };
  return { ...forNode(), bootEpoch, forNode };
}
