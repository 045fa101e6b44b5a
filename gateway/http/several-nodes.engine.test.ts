// Two API nodes over one PostgreSQL: what holds whichever of them a request comes to.

import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { silentLogger, systemClock, systemRandom } from "../../runtime/index.ts";
import { type AccountStore, applyAccountsSchema, openPostgresAccounts } from "../../storage/accounts/index.ts";
import { useDatabase } from "../../storage/accounts/postgres.test-rig.ts";
import {
  createHttpApi,
  createTicketCheck,
  createTokens,
  type HttpApi,
  httpDefaults,
  sharedSigningKey,
} from "../index.ts";
import { type Asked, cheap, fakeRefs } from "./api.test-rig.ts";
import { once } from "./idempotency.ts";

const database = useDatabase();
const options = { url: database.url, clock: systemClock, log: silentLogger };
const password = "correct horse";
const device = { name: "phone" };
let stores: AccountStore[] = [];
let apis: HttpApi[] = [];
const asked: Asked[] = [];

beforeAll(async () => {
  await applyAccountsSchema(options);
  stores = [await openPostgresAccounts(options), await openPostgresAccounts(options)];
  const keys = await Promise.all(stores.map(sharedSigningKey));
  apis = await Promise.all(
    stores.map((accounts, at) =>
      createHttpApi({
        refs: fakeRefs(async (question) => {
          asked.push(question);
          return question.method === "create" ? { messageId: 1, timeMs: 1 } : {};
        }),
        accounts,
        key: keys[at] as Uint8Array,
        clock: systemClock,
        log: silentLogger,
        settings: { ...httpDefaults, ...cheap, logInsANameMax: 5 },
        random: systemRandom,
        gateways: () => [{ url: "ws://gateway/", region: "", sessions: 0, sessionsMax: 1 }],
        ready: () => true,
        metrics: new Registry(),
      }),
    ),
  );
});
afterAll(async () => {
  for (const api of apis) await api.close();
  for (const store of stores) await store.close();
});

async function call(node: number, method: "GET" | "POST" | "DELETE", url: string, body?: object, headers = {}) {
  const api = apis[node % apis.length] as HttpApi;
  const response = await api.app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body }) });
  const json = response.body === "" ? {} : (JSON.parse(response.body) as Record<string, unknown>);
  return { status: response.statusCode, json };
}
const bearer = (token: unknown) => ({ authorization: `Bearer ${String(token)}` });
const signUp = async (name: string) =>
  (await call(0, "POST", "/v1/accounts", { name, password })).json.userId as number;
const logIn = async (node: number, name: string) =>
  (await call(node, "POST", "/v1/sessions", { name, password, device })).json;

it("the same request with a key, on both nodes at once, makes one thing and is answered the same", async () => {
  for (let round = 0; round < 10; round++) {
    const name = `twin${round}`;
    const key = { "idempotency-key": `k${round}` };
    const both = await Promise.all(
      Array.from({ length: 6 }, (_, node) => call(node, "POST", "/v1/accounts", { name, password }, key)),
    );
    expect(both.map(({ status }) => status)).toEqual(both.map(() => 201));
    expect(new Set(both.map(({ json }) => json.userId)).size).toBe(1);
  }
  await signUp("maker");
  const token = bearer((await logIn(0, "maker")).accessToken);
  const group = { title: "yard", memberIds: [] };
  const made = await Promise.all(
    [0, 1, 0, 1].map((node) => call(node, "POST", "/v1/channels", group, { ...token, "idempotency-key": "g" })),
  );
  expect(new Set(made.map(({ status, json }) => `${status} ${String(json.channelId)}`)).size).toBe(1);
  const created = asked.filter(({ method }) => method === "create");
  expect(new Set(created.map(({ actor }) => actor)).size).toBe(1);
});

it("two runs of one request with a key are told one answer, also if they would have given two", async () => {
  for (let round = 0; round < 20; round++) {
    const run = (answer: string, accounts?: AccountStore) =>
      once(accounts as AccountStore, "runs", `r${round}`, "same", async () => answer);
    const [first, second] = await Promise.all([run("first", stores[0]), run("second", stores[1])]);
    expect(first).toBe(second);
  }
});

it("a key that was used on one node is refused for another request on the other", async () => {
  const key = { "idempotency-key": "once" };
  expect((await call(0, "POST", "/v1/accounts", { name: "one", password }, key)).status).toBe(201);
  expect((await call(1, "POST", "/v1/accounts", { name: "two", password }, key)).status).toBe(422);
});

it("guesses at a password are counted over both nodes, and a right one ends the count", async () => {
  await signUp("guessed");
  const guess = (node: number) => call(node, "POST", "/v1/sessions", { name: "guessed", password: "wrong", device });
  const first = await Promise.all([0, 1, 0, 1].map(guess));
  expect(first.map(({ status }) => status)).toEqual([401, 401, 401, 401]);
  expect(await logIn(1, "guessed")).toHaveProperty("accessToken");
  const guesses = await Promise.all(Array.from({ length: 9 }, (_, node) => guess(node)));
  expect(guesses.filter(({ status }) => status === 401)).toHaveLength(5);
  expect(guesses.filter(({ status }) => status === 429)).toHaveLength(4);
});

it("of a refresh token that comes to both nodes at once one goes on, and the other ends the log-in and its sockets", async () => {
  const userId = await signUp("twice");
  const { refreshToken } = await logIn(0, "twice");
  const both = await Promise.all([0, 1].map((node) => call(node, "POST", "/v1/sessions/refresh", { refreshToken })));
  expect(both.map(({ status }) => status).toSorted()).toEqual([200, 401]);
  expect(asked.at(-1)).toMatchObject({ actor: `user/${userId}`, method: "endSession" });
  const next = both.find(({ status }) => status === 200)?.json;
  expect((await call(0, "GET", "/v1/me", undefined, bearer(next?.accessToken))).status).toBe(401);
  expect((await call(1, "POST", "/v1/sessions/refresh", { refreshToken: next?.refreshToken })).status).toBe(401);
});

it("a log-out on one node ends the log-in on the other: its tokens, its tickets, and by the user's actor its sockets", async () => {
  const userId = await signUp("leaver");
  const token = bearer((await logIn(1, "leaver")).accessToken);
  const { ticket } = (await call(0, "POST", "/v1/tickets", undefined, token)).json;
  const [, other] = stores as [AccountStore, AccountStore];
  const check = createTicketCheck(createTokens(await sharedSigningKey(other), systemClock, httpDefaults), other);
  expect(await check(String(ticket))).toMatchObject({ userId });
  expect((await call(0, "DELETE", "/v1/sessions/current", undefined, token)).status).toBe(204);
  expect(asked.at(-1)).toMatchObject({ actor: `user/${userId}`, method: "endSession" });
  expect((await call(1, "GET", "/v1/me", undefined, token)).status).toBe(401);
  await expect(check(String(ticket))).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});

it("a node whose database is away answers 503 and says nothing of it; when it is back the same node serves", async () => {
  const token = bearer((await logIn(0, "maker")).accessToken);
  const giveBack = await database.takeAway();
  try {
    const answer = await call(0, "GET", "/v1/me", undefined, token);
    expect(answer).toMatchObject({ status: 503, json: { error: { code: "UNAVAILABLE", retryable: true } } });
    expect(JSON.stringify(answer)).not.toMatch(/127\.0\.0\.1|localhost|madang_test|postgres/i);
  } finally {
    await giveBack();
  }
  expect((await call(0, "GET", "/v1/me", undefined, token)).status).toBe(200);
});
