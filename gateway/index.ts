// The door of the edge: the WebSocket endpoint and the HTTP API.
export {
  createHealthServer,
  createHttpApi,
  createTicketCheck,
  createTokens,
  type GatewayChoice,
  type HttpApi,
  type HttpSettings,
  httpDefaults,
  type SigningKey,
  sharedSigningKey,
  type Tokens,
} from "./http/index.ts";
export type { ActorRefs } from "./refs.ts";
export { type GatewaySettings, gatewayDefaults } from "./settings.ts";
export {
  createSocketServer,
  type SessionRules,
  type SocketServer,
  type SocketServerOptions,
  type SocketStats,
  type TicketClaims,
} from "./socket/server.ts";
