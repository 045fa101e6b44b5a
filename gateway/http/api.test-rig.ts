// For tests of the HTTP API: the real thing over accounts in memory, on a virtual clock, with actors that only write down what
// they are asked.

import { Registry } from "prom-client";
import { afterEach, beforeEach } from "vitest";
import { Entry } from "../../proto/index.ts";
import {
  createVirtualClock,
  type Logger,
  runtimeErrors,
  seededRandom,
  type VirtualClock,
} from "../../runtime/index.ts";
import { type AccountStore, openEmbeddedAccounts } from "../../storage/accounts/index.ts";
import type { ActorRefs } from "../refs.ts";
import { createHttpApi, type HttpApi } from "./api.ts";
import { type HttpSettings, httpDefaults } from "./settings.ts";

export interface Asked {
  readonly actor: string;
  readonly method: string;
  readonly request: Record<string, unknown>;
}

type Method = "GET" | "POST" | "PATCH" | "DELETE";

export interface Request {
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly json: Record<string, never> & { error?: { code: string } };
}

export interface LogInAnswer {
  readonly userId: number;
  readonly deviceId: number;
  readonly accessToken: string;
  readonly refreshToken: string;
}

export interface World {
  readonly clock: VirtualClock;
  readonly accounts: AccountStore;
  readonly api: HttpApi;
  /** What the actors were asked, oldest first. */
  readonly asked: Asked[];
  readonly logged: string;
  /** Methods of actors that are refused as UNAVAILABLE for now. */
  readonly refusing: Set<string>;
  /** In place of the API with the defaults. */
  open(settings: Partial<HttpSettings>): Promise<void>;
  call(method: Method, url: string, request?: Request): Promise<Answer>;
  signUp(name: string): Promise<number>;
  logIn(name: string, device?: object): Promise<LogInAnswer>;
}

export const key = new Uint8Array(32).fill(7);
/** Cheap hashes: what is tested is not their price. */
export const cheap = { hashMemoryKiB: 8, hashPasses: 1 };

const entry = Entry.encode({
  messageId: 1,
  author: 5,
  producer: 1,
  number: 1,
  timeMs: 9,
  ordinal: 1,
  settled: 0,
  content: { text: { text: "안녕", replyTo: 0 } },
}).finish();
const pointer = { channelId: "d1.2", version: 1, lastId: 4, ordinal: 3, readId: 2, readOrdinal: 1, deliveredId: 0 };
const answers: Readonly<Record<string, unknown>> = {
  create: { messageId: 1, timeMs: 1 },
  change: { messageId: 2, timeMs: 1 },
  describe: { title: "yard", lastId: 2, ordinal: 1, members: [{ userId: 5, role: 2, visibleFrom: 1 }] },
  history: { entries: [entry], firstVisibleId: 1, lastId: 1 },
  inbox: { pointers: [{ ...pointer, left: false }], cursor: 1, more: false },
};

/** Opens a world before each test of the file, and closes it afterwards. */
export function useApi(): World {
  let clock: VirtualClock;
  let accounts: AccountStore;
  let api: HttpApi;
  let asked: Asked[] = [];
  let logged = "";
  const refusing = new Set<string>();

  const open = async (settings: Partial<HttpSettings> = {}) => {
    const write = (facts: object, sentence: string) => {
      logged += JSON.stringify(facts) + sentence;
    };
    const log = { debug: write, info: write, warn: write, error: write } satisfies Logger;
    api = await createHttpApi({
      refs: fakeRefs((question) => {
        asked.push(question);
        return refusing.has(question.method)
          ? Promise.reject(runtimeErrors.UNAVAILABLE())
          : Promise.resolve(answers[question.method] ?? {});
      }),
      accounts,
      key,
      clock,
      log,
      settings: { ...httpDefaults, ...cheap, ...settings },
      random: seededRandom(1),
      gateways: () => [{ url: "ws://gateway/", region: "", sessions: 0, sessionsMax: 1 }],
      ready: () => true,
      metrics: new Registry(),
    });
  };

  const call = async (method: Method, url: string, { token = "", body, headers = {} }: Request = {}) => {
    const response = await api.app.inject({
      method,
      url,
      headers: { ...(token === "" ? {} : { authorization: `Bearer ${token}` }), ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    });
    const json = response.body === "" ? null : (JSON.parse(response.body) as unknown);
    return { status: response.statusCode, json: json as Answer["json"] };
  };

  beforeEach(async () => {
    clock = createVirtualClock(Date.UTC(2026, 10, 1));
    accounts = await openEmbeddedAccounts({ folder: undefined, clock });
    asked = [];
    logged = "";
    refusing.clear();
    await open();
  });
  afterEach(async () => {
    await api.close();
    await accounts.close();
  });

  const password = "correct horse";
  return {
    get clock() {
      return clock;
    },
    get accounts() {
      return accounts;
    },
    get api() {
      return api;
    },
    get asked() {
      return asked;
    },
    get logged() {
      return logged;
    },
    refusing,
    async open(settings) {
      await api.close();
      await open(settings);
    },
    call,
    async signUp(name) {
      return (await call("POST", "/v1/accounts", { body: { name, password } })).json.userId as unknown as number;
    },
    async logIn(name, device = { name: "phone" }) {
      return (await call("POST", "/v1/sessions", { body: { name, password, device } })).json as unknown as LogInAnswer;
    },
  };
}

export function fakeRefs(answer: (question: Asked) => Promise<unknown>): ActorRefs {
  const reference = (kind: string) => (id: string) =>
    new Proxy(
      {},
      {
        get: (_, method: string) => (request: Record<string, unknown>) =>
          answer({ actor: `${kind}/${id}`, method, request }),
      },
    );
  const refs = { channel: reference("channel"), user: reference("user"), presence: reference("presence") };
  return refs as unknown as ActorRefs;
}
