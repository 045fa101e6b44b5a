// `Idempotency-Key`: a request that creates something may be sent again with the same key, and is answered as the first was.

import { createHash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { AccountStore } from "../../storage/accounts/index.ts";
import { httpErrors } from "./errors.ts";

const KEY = /^[\x21-\x7e]{1,128}$/;

/** The key of a request, or undefined. */
export function idempotencyKey({ headers }: FastifyRequest): string | undefined {
  const key = headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key !== "string" || !KEY.test(key)) {
    throw httpErrors.BAD_FRAME({ message: "An Idempotency-Key is 1 to 128 visible ASCII characters." });
  }
  return key;
}

/**
 * Runs `create` unless this key was answered before. `create` must itself be harmless when it runs twice, for two requests
 * of one key may come at once, or the first may fail before its answer is kept.
 */
export async function once<T>(
  accounts: AccountStore,
  scope: string,
  key: string | undefined,
  body: unknown,
  create: () => Promise<T>,
): Promise<T> {
  if (key === undefined) return create();
  const requestDigest = createHash("sha256").update(JSON.stringify(body)).digest("base64url");
  const before = await accounts.answered(scope, key);
  if (before !== undefined) {
    if (before.requestDigest !== requestDigest) throw httpErrors.NUMBER_REUSED();
    return JSON.parse(before.body) as T;
  }
  const answer = await create();
  await accounts.keepAnswer(scope, key, { requestDigest, status: 201, body: JSON.stringify(answer) });
  return answer;
}

/** A number below 2^53 that belongs to a scope and key: the same request makes the same thing. */
export function numberOf(scope: string, key: string): number {
  const digest = createHash("sha256").update(`${scope}\0${key}`).digest();
  return digest.readUIntBE(0, 6) + 1;
}
