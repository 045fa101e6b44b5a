// The account store in SQL, by one set of queries for the embedded engine and for PostgreSQL. The first runs one transaction at
// a time; the second runs them side by side, each statement seeing what was committed before it began. So:
//
// (Q1) What only one of many may have is decided by one statement: a unique key, or an update that names what it expects.
// (Q2) What is read before it is changed is read under a lock that all who change it take first.
// (Q3) No transaction waits for two rows that another may take in the other order: none can be a victim of a deadlock.

import type { ExpressionBuilder, Kysely, Transaction } from "kysely";
import type { Clock } from "../../runtime/index.ts";
import { accountErrors } from "./errors.ts";
import type { AccountStore, Answered, Device, LogIn, NewLogIn, NewUser, Profile, Rotation } from "./port.ts";
import type { Tables } from "./schema.ts";
import type { Snowflakes } from "./snowflake.ts";

export interface SqlAccountsOptions {
  readonly db: Kysely<Tables>;
  readonly clock: Clock;
  readonly ids: Snowflakes;
  readonly close: () => Promise<void>;
}

/** Rows that are over, forgotten whenever one is added: so what is kept shrinks, and no caller pays for many. */
const FORGOTTEN_AT_ONCE = 10;

/** Whoever repeats a request does so within a day. */
const ANSWERS_KEPT_MS = 86_400_000;

const profileColumns = ["users.id as userId", "users.name", "users.display_name as displayName"] as const;

export class SqlAccounts implements AccountStore {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;
  readonly #ids: Snowflakes;
  readonly #close: () => Promise<void>;

  constructor({ db, clock, ids, close }: SqlAccountsOptions) {
    this.#db = db;
    this.#clock = clock;
    this.#ids = ids;
    this.#close = close;
  }

  // ---- users

  async createUser({ userId, name, displayName, passwordHash }: NewUser): Promise<Profile> {
    const user = {
      id: userId,
      name,
      display_name: displayName,
      password_hash: passwordHash,
      created_ms: this.#clock.wallMs(),
    };
    const made = await this.#db
      .insertInto("users")
      .values(user)
      .onConflict((conflict) => conflict.doNothing())
      .returning("id")
      .executeTakeFirst();
    if (made !== undefined) return { userId, name, displayName };
    const holder = await this.profileByName(name);
    if (holder?.userId !== userId) throw accountErrors.ALREADY_EXISTS(); // (A1)
    return holder;
  }

  async passwordOf(name: string) {
    return await this.#db
      .selectFrom("users")
      .select(["id as userId", "password_hash as passwordHash"])
      .where("name", "=", name)
      .executeTakeFirst();
  }

  async profile(userId: number): Promise<Profile | undefined> {
    return await this.#db.selectFrom("users").select(profileColumns).where("id", "=", userId).executeTakeFirst();
  }

  async profileByName(name: string): Promise<Profile | undefined> {
    return await this.#db.selectFrom("users").select(profileColumns).where("name", "=", name).executeTakeFirst();
  }

  async rename(userId: number, displayName: string): Promise<Profile> {
    const profile = await this.#db
      .updateTable("users")
      .set({ display_name: displayName })
      .where("id", "=", userId)
      .returning(profileColumns)
      .executeTakeFirst();
    if (profile === undefined) throw accountErrors.NO_SUCH_USER();
    return profile;
  }

  async userExists(userId: number): Promise<boolean> {
    return (await this.unknownUsers([userId])).length === 0;
  }

  async unknownUsers(userIds: readonly number[]): Promise<number[]> {
    if (userIds.length === 0) return [];
    const rows = await this.#db.selectFrom("users").select("id").where("id", "in", userIds).execute();
    const known = new Set(rows.map((row) => row.id));
    return userIds.filter((userId) => !known.has(userId));
  }

  nextId(): Promise<number> {
    return this.#ids.next();
  }

  // ---- log-ins

  async openLogIn(logIn: NewLogIn): Promise<LogIn> {
    const { loginId, userId, deviceName, refreshHash, expiresMs } = logIn;
    const nowMs = this.#clock.wallMs();
    const fresh = await this.#ids.next();
    return await this.#db.transaction().execute(async (transaction) => {
      const own = await transaction
        .updateTable("devices")
        .set({ last_seen_ms: nowMs })
        .where("id", "=", logIn.deviceId ?? 0)
        .where("user_id", "=", userId)
        .returning("id")
        .executeTakeFirst();
      const deviceId = own?.id ?? fresh;
      if (own === undefined) {
        const device = { id: deviceId, user_id: userId, name: deviceName, created_ms: nowMs, last_seen_ms: nowMs };
        await transaction.insertInto("devices").values(device).execute();
      }
      const row = {
        id: loginId,
        user_id: userId,
        device_id: deviceId,
        refresh_hash: refreshHash,
        expires_ms: expiresMs,
      };
      await transaction.insertInto("log_ins").values(row).execute();
      return { loginId, userId, deviceId };
    });
  }

  async rotate(refreshHash: string, nextHash: string, expiresMs: number): Promise<Rotation> {
    const nowMs = this.#clock.wallMs();
    await this.#forgetUsedTokens(nowMs);
    return await this.#db.transaction().execute(async (transaction) => {
      // (Q1) The other of two that come at once waits here, and then finds the token among the used ones.
      const rotated = await transaction
        .updateTable("log_ins")
        .set({ refresh_hash: nextHash, expires_ms: expiresMs })
        .where("refresh_hash", "=", refreshHash)
        .where("closed", "=", 0)
        .where("expires_ms", ">", nowMs)
        .returning(["id as loginId", "user_id as userId", "device_id as deviceId"])
        .executeTakeFirst();
      if (rotated === undefined) return await this.#reused(transaction, refreshHash);
      await transaction
        .insertInto("used_tokens")
        .values({ refresh_hash: refreshHash, login_id: rotated.loginId, expires_ms: expiresMs })
        .execute();
      await transaction
        .updateTable("devices")
        .set({ last_seen_ms: nowMs })
        .where("id", "=", rotated.deviceId)
        .execute();
      return { kind: "rotated", ...rotated };
    });
  }

  /** One by one, outside of any transaction: other nodes forget the same ones at the same time (Q3). */
  async #forgetUsedTokens(nowMs: number): Promise<void> {
    const old = await this.#db
      .selectFrom("used_tokens")
      .select("refresh_hash")
      .where("expires_ms", "<", nowMs)
      .limit(FORGOTTEN_AT_ONCE)
      .execute();
    for (const { refresh_hash } of old) {
      await this.#db.deleteFrom("used_tokens").where("refresh_hash", "=", refresh_hash).execute();
    }
  }

  /** (A2) */
  async #reused(transaction: Transaction<Tables>, refreshHash: string): Promise<Rotation> {
    const used = await transaction
      .selectFrom("used_tokens")
      .innerJoin("log_ins", "log_ins.id", "used_tokens.login_id")
      .select(["log_ins.id as loginId", "log_ins.user_id as userId", "log_ins.device_id as deviceId"])
      .where("used_tokens.refresh_hash", "=", refreshHash)
      .executeTakeFirst();
    if (used === undefined) return { kind: "unknown" };
    await transaction.updateTable("log_ins").set({ closed: 1 }).where("id", "=", used.loginId).execute();
    return { kind: "reused", ...used };
  }

  async isOpen(loginId: string): Promise<boolean> {
    const row = await this.#db
      .selectFrom("log_ins")
      .select("id")
      .where("id", "=", loginId)
      .where("closed", "=", 0)
      .executeTakeFirst();
    return row !== undefined;
  }

  async closeLogIn(loginId: string): Promise<void> {
    await this.#db.updateTable("log_ins").set({ closed: 1 }).where("id", "=", loginId).execute();
  }

  async devices(userId: number): Promise<Device[]> {
    return await this.#db
      .selectFrom("devices")
      .select(["id as deviceId", "name", "created_ms as createdMs", "last_seen_ms as lastSeenMs"])
      .where("user_id", "=", userId)
      .where((where) =>
        where.exists(
          where
            .selectFrom("log_ins")
            .select("log_ins.id")
            .whereRef("log_ins.device_id", "=", "devices.id")
            .where("log_ins.closed", "=", 0),
        ),
      )
      .orderBy("id")
      .execute();
  }

  async removeDevice(userId: number, deviceId: number): Promise<string[]> {
    const closed = await this.#db
      .updateTable("log_ins")
      .set({ closed: 1 })
      .where("device_id", "=", deviceId)
      .where("user_id", "=", userId)
      .where((where) => where.or([where("closed", "=", 0), where("expires_ms", ">", this.#clock.wallMs())]))
      .returning("id")
      .execute();
    if (closed.length === 0) throw accountErrors.NO_SUCH_USER({ message: "There is no such device." });
    return closed.map((row) => row.id);
  }

  // ---- friends

  async requestFriend(from: number, to: number): Promise<"requested" | "friends"> {
    if (from === to) throw accountErrors.NOT_ALLOWED({ message: "Nobody can be a friend of oneself." });
    if (!(await this.userExists(to))) throw accountErrors.NO_SUCH_USER();
    return await this.#db.transaction().execute(async (transaction) => {
      await takeTurns(transaction, from, to); // (A3) of two that cross the later sees the earlier
      if (await areFriends(transaction, from, to)) return "friends";
      const request = { from_id: from, to_id: to, created_ms: this.#clock.wallMs() };
      await transaction
        .insertInto("friend_requests")
        .values(request)
        .onConflict((conflict) => conflict.columns(["from_id", "to_id"]).doNothing())
        .execute();
      const crossing = await transaction
        .selectFrom("friend_requests")
        .select("from_id")
        .where("from_id", "=", to)
        .where("to_id", "=", from)
        .executeTakeFirst();
      if (crossing === undefined) return "requested";
      await this.#befriend(transaction, from, to);
      return "friends";
    });
  }

  async #befriend(transaction: Transaction<Tables>, one: number, other: number): Promise<void> {
    const sinceMs = this.#clock.wallMs();
    const rows = [
      { user_id: one, friend_id: other, since_ms: sinceMs },
      { user_id: other, friend_id: one, since_ms: sinceMs },
    ];
    await transaction
      .insertInto("friends")
      .values(rows)
      .onConflict((conflict) => conflict.columns(["user_id", "friend_id"]).doNothing())
      .execute();
    await forgetRequests(transaction, one, other);
  }

  async answerRequest(from: number, to: number, accept: boolean): Promise<boolean> {
    return await this.#db.transaction().execute(async (transaction) => {
      await takeTurns(transaction, from, to);
      const request = await transaction
        .deleteFrom("friend_requests")
        .where("from_id", "=", from)
        .where("to_id", "=", to)
        .returning("from_id")
        .executeTakeFirst();
      if (request === undefined) return false;
      if (accept) await this.#befriend(transaction, from, to);
      return true;
    });
  }

  async unfriend(userId: number, friendId: number): Promise<boolean> {
    return await this.#db.transaction().execute(async (transaction) => {
      await takeTurns(transaction, userId, friendId);
      const gone = await transaction
        .deleteFrom("friends")
        .where((where) =>
          where.or([
            where.and({ user_id: userId, friend_id: friendId }),
            where.and({ user_id: friendId, friend_id: userId }),
          ]),
        )
        .returning("user_id")
        .execute();
      return gone.length > 0;
    });
  }

  async friendsOf(userId: number): Promise<number[]> {
    const rows = await this.#db.selectFrom("friends").select("friend_id").where("user_id", "=", userId).execute();
    return rows.map((row) => row.friend_id);
  }

  async friendProfiles(userId: number): Promise<Profile[]> {
    return await this.#db
      .selectFrom("friends")
      .innerJoin("users", "users.id", "friends.friend_id")
      .select(profileColumns)
      .where("friends.user_id", "=", userId)
      .orderBy("users.name")
      .execute();
  }

  async requestsOf(userId: number) {
    const requests = this.#db.selectFrom("friend_requests");
    const incoming = requests
      .innerJoin("users", "users.id", "friend_requests.from_id")
      .select(profileColumns)
      .where("friend_requests.to_id", "=", userId)
      .orderBy("friend_requests.created_ms")
      .execute();
    const outgoing = requests
      .innerJoin("users", "users.id", "friend_requests.to_id")
      .select(profileColumns)
      .where("friend_requests.from_id", "=", userId)
      .orderBy("friend_requests.created_ms")
      .execute();
    const [from, to] = await Promise.all([incoming, outgoing]);
    return { incoming: from, outgoing: to };
  }

  // ---- answers to what may be sent again

  async answered(scope: string, key: string): Promise<Answered | undefined> {
    return await this.#db
      .selectFrom("answers")
      .select(["request_digest as requestDigest", "status", "body"])
      .where("scope", "=", scope)
      .where("key", "=", key)
      .executeTakeFirst();
  }

  async keepAnswer(scope: string, key: string, answer: Answered): Promise<Answered> {
    const nowMs = this.#clock.wallMs();
    await this.#forgetAnswers(nowMs - ANSWERS_KEPT_MS);
    const { requestDigest, status, body } = answer;
    const made = await this.#db
      .insertInto("answers")
      .values({ scope, key, request_digest: requestDigest, status, body, created_ms: nowMs })
      .onConflict((conflict) => conflict.columns(["scope", "key"]).doNothing())
      .returning("key")
      .executeTakeFirst();
    if (made !== undefined) return answer;
    return (await this.answered(scope, key)) ?? answer; // forgotten in between: a day has passed
  }

  async #forgetAnswers(olderThanMs: number): Promise<void> {
    const old = await this.#db
      .selectFrom("answers")
      .select(["scope", "key"])
      .where("created_ms", "<", olderThanMs)
      .limit(FORGOTTEN_AT_ONCE)
      .execute();
    for (const { scope, key } of old) {
      // Another node may have forgotten it, and kept a new answer under the same key, meanwhile.
      await this.#db
        .deleteFrom("answers")
        .where("scope", "=", scope)
        .where("key", "=", key)
        .where("created_ms", "<", olderThanMs)
        .execute();
    }
  }

  // ---- what several nodes have to know together

  async takeAttempt(who: string, max: number, windowMs: number): Promise<number> {
    const nowMs = this.#clock.wallMs();
    await this.#forgetAttempts(nowMs - windowMs);
    const taken = await this.#db
      .insertInto("attempts")
      .values({ who, count: 1, since_ms: nowMs })
      .onConflict((conflict) =>
        conflict
          .column("who")
          .doUpdateSet(({ ref, case: when, eb }) => {
            const over = isOver(eb, nowMs, windowMs);
            return {
              count: when()
                .when(over)
                .then(1)
                .else(eb(ref("attempts.count"), "+", 1))
                .end(),
              since_ms: when().when(over).then(nowMs).else(ref("attempts.since_ms")).end(),
            };
          })
          .where((eb) => eb.or([eb("attempts.count", "<", max), isOver(eb, nowMs, windowMs)])),
      )
      .returning("who")
      .executeTakeFirst();
    if (taken !== undefined) return 0;
    const counted = await this.#db.selectFrom("attempts").select("since_ms").where("who", "=", who).executeTakeFirst();
    return Math.max(1, (counted?.since_ms ?? nowMs) + windowMs - nowMs);
  }

  async clearAttempts(who: string): Promise<void> {
    await this.#db.deleteFrom("attempts").where("who", "=", who).execute();
  }

  async #forgetAttempts(olderThanMs: number): Promise<void> {
    const old = await this.#db
      .selectFrom("attempts")
      .select("who")
      .where("since_ms", "<", olderThanMs)
      .limit(FORGOTTEN_AT_ONCE)
      .execute();
    for (const { who } of old) {
      // Somebody may have begun a new window meanwhile.
      await this.#db.deleteFrom("attempts").where("who", "=", who).where("since_ms", "<", olderThanMs).execute();
    }
  }

  async secret(name: string, made: string): Promise<string> {
    await this.#db
      .insertInto("secrets")
      .values({ name, value: made })
      .onConflict((conflict) => conflict.column("name").doNothing())
      .execute();
    const kept = await this.#db
      .selectFrom("secrets")
      .select("value")
      .where("name", "=", name)
      .executeTakeFirstOrThrow();
    return kept.value;
  }

  close(): Promise<void> {
    return this.#close();
  }
}

/**
 * (Q2) All that changes between two people is done in turn, under the row of the one who came first. It keeps its value: the
 * lock that this takes on PostgreSQL does not hinder those who only refer to the row.
 */
async function takeTurns(transaction: Transaction<Tables>, one: number, other: number): Promise<void> {
  await transaction
    .updateTable("users")
    .set((expression) => ({ id: expression.ref("id") }))
    .where("id", "=", Math.min(one, other))
    .execute();
}

/** Of counted attempts; also a window that begins later than now ends: nodes differ in what they call now, and clocks step. */
function isOver(eb: ExpressionBuilder<Tables, "attempts">, nowMs: number, windowMs: number) {
  return eb.or([eb("attempts.since_ms", "<=", nowMs - windowMs), eb("attempts.since_ms", ">", nowMs + windowMs)]);
}

async function areFriends(transaction: Transaction<Tables>, one: number, other: number): Promise<boolean> {
  const row = await transaction
    .selectFrom("friends")
    .select("user_id")
    .where("user_id", "=", one)
    .where("friend_id", "=", other)
    .executeTakeFirst();
  return row !== undefined;
}

async function forgetRequests(transaction: Transaction<Tables>, one: number, other: number): Promise<void> {
  await transaction
    .deleteFrom("friend_requests")
    .where((where) => where.or([where.and({ from_id: one, to_id: other }), where.and({ from_id: other, to_id: one })]))
    .execute();
}
