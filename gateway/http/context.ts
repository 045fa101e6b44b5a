// What the routes share.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { Clock } from "../../runtime/index.ts";
import type { AccountStore } from "../../storage/accounts/index.ts";
import type { ActorRefs } from "../refs.ts";
import type { Attempts } from "./attempts.ts";
import type { Wish } from "./discovery.ts";
import { httpErrors } from "./errors.ts";
import type { Passwords } from "./passwords.ts";
import type { HttpSettings } from "./settings.ts";
import type { Identity, Tokens } from "./tokens.ts";

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

export interface ApiContext {
  readonly refs: ActorRefs;
  readonly accounts: AccountStore;
  readonly tokens: Tokens;
  readonly passwords: Passwords;
  readonly attempts: Attempts;
  readonly settings: HttpSettings;
  readonly clock: Clock;
  /** WebSocket address for this client; throws UNAVAILABLE. */
  readonly gatewayFor: (wish: Wish) => string;
}

/** Who asks; rejects with UNAUTHENTICATED. */
export type WhoAsks = (request: FastifyRequest) => Promise<Identity>;

export function bearerOf({ headers: { authorization } }: FastifyRequest): string {
  const token = /^Bearer (\S+)$/.exec(authorization ?? "")?.[1];
  if (token === undefined) throw httpErrors.UNAUTHENTICATED();
  return token;
}

export function whoAsksBy({ tokens, accounts }: Pick<ApiContext, "tokens" | "accounts">): WhoAsks {
  return async (request) => {
    const identity = await tokens.verifyAccess(bearerOf(request));
    if (!(await accounts.isOpen(identity.loginId))) throw httpErrors.UNAUTHENTICATED();
    return identity;
  };
}
