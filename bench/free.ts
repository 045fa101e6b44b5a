// What an actor stands upon when its store is not what is measured: everything is granted, at once.

import type { ShardFence, WakeList } from "../runtime/index.ts";

export const freeFence: ShardFence = {
  claim: () => Promise.resolve(),
  verify: () => Promise.resolve(),
  lose: () => {},
  onLost: () => {},
};

export const freeWakeList: WakeList = {
  register: () => Promise.resolve(),
  list: () => Promise.resolve([]),
  remove: () => Promise.resolve(),
};
