// The door of the HTTP API.
export { createHealthServer, createHttpApi, type HttpApi, type HttpApiOptions } from "./api.ts";
export type { GatewayChoice } from "./discovery.ts";
export { type HttpSettings, httpDefaults } from "./settings.ts";
export { createTicketCheck } from "./tickets.ts";
export { createTokens, type SigningKey, sharedSigningKey, type Tokens } from "./tokens.ts";
