// The port belongs to the runtime, which decides when an actor has to be woken; the stores implement it.
export type { WakeList, WakeRow } from "../../runtime/index.ts";
