// The door of the virtual-actor runtime.
export { type Clock, pause, systemClock, type Timer } from "./clock.ts";
export {
  assert,
  type ErrorDetails,
  type ErrorKind,
  type Executed,
  errorList,
  MadangError,
  runtimeErrors,
  toMadangError,
} from "./errors.ts";
export { EPOCH_MAX, type ShardFence, STAMP_N_MAX, stamp, type Tenure } from "./fence.ts";
export { type Random, randomBelow, seededRandom, systemRandom } from "./random.ts";
export type { CallOptions, Reference, References } from "./reference.ts";
