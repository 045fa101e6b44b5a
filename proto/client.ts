// The client's side of the door: what the SDK needs, without the contracts between nodes.
export { type ChannelName, directChannelId, parseChannelId } from "./channel-id.ts";
export type { Codec } from "./codec.ts";
export { type ContentFault, contentFault } from "./content.ts";
export * from "./gen/client.ts";
