// `Idempotency-Key`: a request that creates something may be sent again with the same key, and is answered as the first was.
//
// (I1) What is created gets an id that was kept under the key before anything else happened. So a request that broke off
//      anywhere, or came twice at once, makes one thing when it is sent again.
// (I2) All are told the answer that was kept first. Answers and reserved ids are in the accounts, so both hold whichever nodes
//      the requests come to, also at once: nothing about a request in flight is kept in a process.

import { createHash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { MadangError, toMadangError } from "../../runtime/index.ts";
import type { AccountStore, Answered } from "../../storage/accounts/index.ts";
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

/** Gives the id of what is created: for one key always the same. */
export type NewId = () => Promise<number>;

/**
 * Runs `create` unless this key was answered before. `create` runs again when its first run broke off, so it names what it
 * makes by `newId`.
 * @param said what the request asks for. Its digest is kept: no password may be in it, for a digest is quickly guessed.
 */
export async function once<T>(
  accounts: AccountStore,
  scope: string,
  key: string | undefined,
  said: unknown,
  create: (newId: NewId) => Promise<T>,
): Promise<T> {
  if (key === undefined) return create(() => accounts.nextId());
  const requestDigest = createHash("sha256").update(JSON.stringify(said)).digest("base64url");
  const before = await accounts.answered(scope, key);
  if (before !== undefined) return JSON.parse(bodyFor(requestDigest, before)) as T;
  const answer = await create(async () => {
    const reservation = { requestDigest, status: 102, body: String(await accounts.nextId()) };
    return Number(bodyFor(requestDigest, await accounts.keepAnswer(`${scope} id`, key, reservation)));
  });
  const made = { requestDigest, status: 201, body: JSON.stringify(answer) };
  const kept = await accounts.keepAnswer(scope, key, made).catch((thrown: unknown) => {
    throw afterEffect(toMadangError(thrown));
  });
  return JSON.parse(bodyFor(requestDigest, kept)) as T; // (I2)
}

function bodyFor(requestDigest: string, kept: Answered): string {
  if (kept.requestDigest !== requestDigest) throw httpErrors.NUMBER_REUSED();
  return kept.body;
}

/** Whatever the store says of its own part: what was asked for has taken effect, and the same again finds it (I1). */
function afterEffect(error: MadangError): MadangError {
  const { code, retryable, message, retryAfterMs } = error;
  const kind = { retryable, executed: "maybe", sentence: message } as const;
  return new MadangError(code, kind, { cause: error, retryAfterMs });
}
