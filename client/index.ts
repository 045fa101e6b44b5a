// The door of the SDK, for browsers and for Node; what only Node has stands in node.ts.
export {
  type Content,
  directChannelId,
  type Entry,
  type Page,
  type Presence,
  PresenceState,
  parseChannelId,
  type Sent,
} from "../proto/client.ts";
export type { Channel, HistoryRequest } from "./channel.ts";
export { type Client, type ClientOptions, type Credentials, createClient } from "./client.ts";
export type { Message } from "./content.ts";
export { ClientError, type ClientErrorCode, type Effect } from "./errors.ts";
export type { Listener } from "./events.ts";
export type { ChannelDescription, Device, FriendRequests, GroupOptions, People, Profile, RoleName } from "./people.ts";
export type {
  Clock,
  Fetch,
  FetchInit,
  FetchReply,
  Random,
  Socket,
  SocketEvents,
  Timer,
  WebSocketFactory,
} from "./ports.ts";
export { type ClientSettings, clientDefaults } from "./settings.ts";
export { createIndexedDbStore } from "./store/indexeddb.ts";
export { createMemoryStore } from "./store/memory.ts";
export type { ClientStore, StoreChange } from "./store/port.ts";
export type { Gap } from "./timeline.ts";
export type { ClientEvents, ClientState, PendingSend } from "./types.ts";
