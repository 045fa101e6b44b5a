// What proves who somebody is: short-lived signed access tokens, opaque refresh tokens that are used once, and tickets for the
// WebSocket.

import { createHash, randomBytes, randomUUID } from "node:crypto";
import { errors, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import type { Clock } from "../../runtime/index.ts";
import type { AccountStore } from "../../storage/accounts/index.ts";
import type { TicketClaims } from "../socket/server.ts";
import { httpErrors } from "./errors.ts";
import type { HttpSettings } from "./settings.ts";

/** The secret that tokens are signed with: 32 bytes, the same on all nodes of a cluster. */
export type SigningKey = Uint8Array;

/**
 * The key of a cluster, made by the node that is first. It is kept with the accounts: whoever can read those can make tokens for
 * anybody, as whoever can write them could log in as anybody.
 */
export async function sharedSigningKey(accounts: Pick<AccountStore, "secret">): Promise<SigningKey> {
  const made = randomBytes(32).toString("base64url");
  return new Uint8Array(Buffer.from(await accounts.secret("signing key", made), "base64url"));
}

export interface Identity {
  readonly userId: number;
  readonly deviceId: number;
  readonly loginId: string;
}

export interface Tokens {
  issueAccess(identity: Identity): Promise<string>;
  /** Rejects with UNAUTHENTICATED. */
  verifyAccess(token: string): Promise<Identity>;
  issueTicket(identity: Identity): Promise<string>;
  /** Rejects with TICKET_INVALID or TICKET_EXPIRED. Whether it was used before is the user actor's to say; see tickets.ts. */
  verifyTicket(ticket: string): Promise<TicketClaims>;
  /** For whoever can read the signing key: the operator on the node's machine. */
  issueOperator(): Promise<string>;
  /** Rejects with UNAUTHENTICATED. */
  verifyOperator(token: string): Promise<void>;
  newRefresh(): { readonly token: string; readonly hash: string };
}

const ISSUER = "madang";
const ACCESS = "api";
const TICKET = "ws";
const OPERATOR = "ops";
/** An operator's token is made for the one call that follows. */
const OPERATOR_S = 60;
const nobody: Identity = { userId: 0, deviceId: 0, loginId: "" };
const claimsShape = z.object({ sub: z.string(), dev: z.number(), lgn: z.string(), jti: z.string(), exp: z.number() });

export function refreshHash(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}

export function createTokens(key: SigningKey, clock: Clock, settings: HttpSettings): Tokens {
  const issue = ({ userId, deviceId, loginId }: Identity, audience: string, lifeS: number) => {
    const nowS = Math.floor(clock.wallMs() / 1_000);
    return new SignJWT({ dev: deviceId, lgn: loginId })
      .setProtectedHeader({ alg: "HS256" })
      .setIssuer(ISSUER)
      .setAudience(audience)
      .setSubject(String(userId))
      .setJti(randomUUID())
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + lifeS)
      .sign(key);
  };
  const verify = async (token: string, audience: string) => {
    const currentDate = new Date(clock.wallMs());
    const options = { issuer: ISSUER, audience, algorithms: ["HS256"], currentDate };
    const { payload } = await jwtVerify(token, key, options);
    const { sub, dev, lgn, jti, exp } = claimsShape.parse(payload);
    return { userId: Number(sub), deviceId: dev, loginId: lgn, ticketId: jti, expiresMs: exp * 1_000 };
  };
  return {
    issueAccess: (identity) => issue(identity, ACCESS, settings.accessTokenS),
    issueTicket: (identity) => issue(identity, TICKET, settings.ticketS),
    async verifyAccess(token) {
      try {
        return await verify(token, ACCESS);
      } catch (cause) {
        throw httpErrors.UNAUTHENTICATED({ cause });
      }
    },
    async verifyTicket(ticket) {
      try {
        return await verify(ticket, TICKET);
      } catch (cause) {
        if (cause instanceof errors.JWTExpired) throw httpErrors.TICKET_EXPIRED({ cause });
        throw httpErrors.TICKET_INVALID({ cause });
      }
    },
    issueOperator: () => issue(nobody, OPERATOR, OPERATOR_S),
    async verifyOperator(token) {
      try {
        await verify(token, OPERATOR);
      } catch (cause) {
        throw httpErrors.UNAUTHENTICATED({ cause });
      }
    },
    newRefresh() {
      const token = randomBytes(32).toString("base64url");
      return { token, hash: refreshHash(token) };
    },
  };
}
