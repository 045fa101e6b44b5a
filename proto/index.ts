// The door: the contracts as types and codecs.
export { type ChannelName, directChannelId, parseChannelId } from "./channel-id.ts";
export type { Codec, MethodDescriptor, ServiceDescriptor } from "./codec.ts";
export { contentFault, hasUnknownFields } from "./content.ts";
export * from "./gen/actor.ts";
export * from "./gen/client.ts";
export * from "./gen/cluster.ts";
export * as kept from "./gen/kept.ts";
export * from "./gen/push.ts";
export { default as protobuf } from "./protobuf.js";
