// The door of the client for internal services, for Node. It is no part of the SDK of browsers.
export {
  ChannelService,
  type Content,
  directChannelId,
  type Entry,
  type Presence,
  PresenceService,
  PresenceState,
  type ServiceDescriptor,
  UserService,
} from "../../proto/index.ts";
export type { CallOptions } from "./calls.ts";
export type { Announcement, Channel, HistoryRequest } from "./channel.ts";
export { type Executed, ServiceError, type ServiceErrorCode } from "./errors.ts";
export type { Follow, OnEntries } from "./follow.ts";
export type { NatsAccess } from "./nats.ts";
export { newProducer } from "./producer.ts";
export type { Reference } from "./reference.ts";
export { createService, type Service, type ServiceOptions } from "./service.ts";
export { type ServiceSettings, serviceDefaults } from "./settings.ts";
