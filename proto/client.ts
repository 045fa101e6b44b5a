// The client's side of the door: what the SDK needs, without the contracts between nodes.
export type { Codec } from "./codec.ts";
export * from "./gen/client.ts";
