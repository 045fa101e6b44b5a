import { describe, expect, it } from "vitest";
import { key, useApi } from "./api.test-rig.ts";
import { statusOf } from "./errors.ts";
import { httpDefaults } from "./settings.ts";
import { createTicketCheck } from "./tickets.ts";
import { createTokens } from "./tokens.ts";

const world = useApi();
const { call, logIn, signUp } = world;

describe("sign-up and log-in", () => {
  it("give a profile, and tokens that open the rest", async () => {
    const userId = await signUp("ann");
    const { accessToken, deviceId } = await logIn("ann");
    expect((await call("GET", "/v1/me", { token: accessToken })).json).toEqual({
      userId,
      name: "ann",
      displayName: "ann",
    });
    expect((await logIn("ann", { name: "phone", deviceId })).deviceId).toBe(deviceId);
  });

  it("refuse a taken name, a short password, a name with spaces, an unknown field's absence, and bad JSON", async () => {
    await signUp("ann");
    expect((await call("POST", "/v1/accounts", { body: { name: "ann", password: "correct horse" } })).status).toBe(409);
    for (const body of [
      { name: "bob", password: "short" },
      { name: "a b", password: "correct horse" },
      { name: "bob" },
    ]) {
      const { status, json } = await call("POST", "/v1/accounts", { body });
      expect([status, json.error?.code]).toEqual([400, "BAD_FRAME"]);
    }
    const broken = await world.api.app.inject({
      method: "POST",
      url: "/v1/accounts",
      headers: { "content-type": "application/json" },
      payload: '{"name":',
    });
    expect(broken.statusCode).toBe(400);
  });

  it("answer the same for a wrong password and for a name that nobody has", async () => {
    await signUp("ann");
    const wrong = (name: string) =>
      call("POST", "/v1/sessions", { body: { name, password: "wrong horse", device: { name: "x" } } });
    expect(await wrong("ann")).toEqual(await wrong("nobody"));
  });

  it("count attempts by name, and let the right password in again after the window", async () => {
    await signUp("ann");
    const attempt = (password: string) =>
      call("POST", "/v1/sessions", { body: { name: "ann", password, device: { name: "x" } } });
    const statuses = [];
    for (let at = 0; at < httpDefaults.logInsANameMax + 3; at++) statuses.push((await attempt("guess")).status);
    expect(statuses.filter((status) => status === 429)).toHaveLength(3);
    expect((await attempt("correct horse")).json.error).toMatchObject({ code: "TOO_MANY_REQUESTS", retryable: true });
    await world.clock.advance(httpDefaults.attemptsWindowMs);
    expect((await attempt("correct horse")).status).toBe(201);
  });

  it("of a thousand attempts at once refuse what does not fit, and go on serving the others", async () => {
    await world.api.close();
    await world.open({ logInsANameMax: 10_000, hashMemoryKiB: 1_024 });
    await signUp("ann");
    const { accessToken } = await logIn("ann");
    const storm = Array.from({ length: 1_000 }, (_, at) =>
      call("POST", "/v1/sessions", { body: { name: `n${at}`, password: "guess me", device: { name: "x" } } }),
    );
    expect((await call("GET", "/v1/me", { token: accessToken })).status).toBe(200);
    const statuses = (await Promise.all(storm)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([401, 503]));
    expect(statuses.filter((status) => status === 401).length).toBeGreaterThanOrEqual(httpDefaults.hashingWaitingMax);
  });

  it("leave no password, token or text in the log", async () => {
    await signUp("ann");
    const { accessToken, refreshToken } = await logIn("ann");
    await call("POST", "/v1/sessions/refresh", { body: { refreshToken } });
    await call("GET", "/v1/channels/d1.2/messages", { token: accessToken });
    await call("GET", "/v1/channels/g404", { token: accessToken });
    expect(world.logged).toContain("/v1/sessions/refresh");
    for (const secret of ["correct horse", accessToken, refreshToken, "안녕"])
      expect(world.logged).not.toContain(secret);
  });
});

describe("tokens", () => {
  it("that are forged, expired, for another use, or of a log-in that ended open nothing", async () => {
    await signUp("ann");
    const { accessToken, userId, deviceId } = await logIn("ann");
    const other = createTokens(new Uint8Array(32).fill(8), world.clock, httpDefaults);
    const forged = await other.issueAccess({ userId, deviceId, loginId: "x" });
    const { ticket } = (await call("POST", "/v1/tickets", { token: accessToken })).json as unknown as {
      ticket: string;
    };
    const [header, payload] = accessToken.split(".");
    for (const token of [forged, ticket, "garbage", `${header}.${payload}.`, "eyJhbGciOiJub25lIn0.e30."]) {
      expect((await call("GET", "/v1/me", { token })).json.error?.code).toBe("UNAUTHENTICATED");
    }
    world.clock.stepWall(httpDefaults.accessTokenS * 1_000 + 1_000);
    expect((await call("GET", "/v1/me", { token: accessToken })).status).toBe(401);
  });

  it("of refresh are used once; a second use ends the log-in and closes its sockets", async () => {
    await signUp("ann");
    const { refreshToken, userId } = await logIn("ann");
    const next = (await call("POST", "/v1/sessions/refresh", { body: { refreshToken } })).json as unknown as {
      accessToken: string;
      refreshToken: string;
    };
    expect((await call("GET", "/v1/me", { token: next.accessToken })).status).toBe(200);
    expect((await call("POST", "/v1/sessions/refresh", { body: { refreshToken } })).status).toBe(401);
    expect(world.asked.at(-1)).toMatchObject({ actor: `user/${userId}`, method: "endSession" });
    expect((await call("GET", "/v1/me", { token: next.accessToken })).status).toBe(401);
    const { status } = await call("POST", "/v1/sessions/refresh", { body: { refreshToken: next.refreshToken } });
    expect(status).toBe(401);
  });

  it("end with the log-out, and its sockets are told", async () => {
    await signUp("ann");
    const { accessToken, userId } = await logIn("ann");
    expect((await call("DELETE", "/v1/sessions/current", { token: accessToken })).status).toBe(204);
    expect((await call("GET", "/v1/me", { token: accessToken })).status).toBe(401);
    expect(world.asked.at(-1)).toMatchObject({ actor: `user/${userId}`, method: "endSession" });
  });

  it("for the socket open nothing once their log-in has ended", async () => {
    await signUp("ann");
    const { accessToken, userId } = await logIn("ann");
    const { json } = await call("POST", "/v1/tickets", { token: accessToken });
    const tokens = createTokens(key, world.clock, httpDefaults);
    const check = createTicketCheck(tokens, world.accounts);
    const ticket = json.ticket as unknown as string;
    expect(await check(ticket)).toMatchObject({ userId });
    await call("DELETE", "/v1/sessions/current", { token: accessToken });
    await expect(check(ticket)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  it("for the socket say who comes, for a minute", async () => {
    await signUp("ann");
    const { accessToken, userId, deviceId } = await logIn("ann");
    const { json } = await call("POST", "/v1/tickets", { token: accessToken });
    expect(json).toMatchObject({ url: "ws://gateway/", expiresInS: 60 });
    const tokens = createTokens(key, world.clock, httpDefaults);
    expect(await tokens.verifyTicket(json.ticket as unknown as string)).toMatchObject({ userId, deviceId });
    await expect(tokens.verifyTicket(accessToken)).rejects.toMatchObject({ code: "TICKET_INVALID" });
    world.clock.stepWall(61_000);
    await expect(tokens.verifyTicket(json.ticket as unknown as string)).rejects.toMatchObject({
      code: "TICKET_EXPIRED",
    });
  });
});

describe("people", () => {
  it("ask each other, accept, and tell the presence actors of both", async () => {
    const [ann, bob] = [await signUp("ann"), await signUp("bob")];
    const [annToken, bobToken] = [(await logIn("ann")).accessToken, (await logIn("bob")).accessToken];
    expect((await call("POST", "/v1/friends/requests", { token: annToken, body: { userId: bob } })).status).toBe(201);
    expect((await call("GET", "/v1/friends/requests", { token: bobToken })).json.incoming).toMatchObject([
      { userId: ann },
    ]);
    expect((await call("POST", `/v1/friends/requests/${ann}/accept`, { token: bobToken })).status).toBe(204);
    expect((await call("GET", "/v1/friends", { token: annToken })).json.friends).toMatchObject([{ userId: bob }]);
    const told = world.asked.filter(({ method }) => method === "friendsChanged").map(({ actor }) => actor);
    expect(told.toSorted()).toEqual([`presence/${ann}`, `presence/${bob}`].toSorted());
    expect((await call("DELETE", `/v1/friends/${bob}`, { token: annToken })).status).toBe(204);
    expect((await call("DELETE", `/v1/friends/${bob}`, { token: annToken })).status).toBe(404);
  });

  it("are found by name, and change how they are shown", async () => {
    const bob = await signUp("bob");
    await signUp("ann");
    const { accessToken: token } = await logIn("ann");
    expect((await call("GET", "/v1/users?name=bob", { token })).json).toMatchObject({ userId: bob });
    expect((await call("GET", `/v1/users/${bob}`, { token })).json).toMatchObject({ name: "bob" });
    expect((await call("PATCH", "/v1/me", { token, body: { displayName: "앤" } })).json).toMatchObject({
      displayName: "앤",
    });
  });
});

describe("channels", () => {
  it("are created once for one Idempotency-Key, and refused for another request under it", async () => {
    const bob = await signUp("bob");
    await signUp("ann");
    const { accessToken: token } = await logIn("ann");
    const headers = { "idempotency-key": "abc" };
    const body = { title: "yard", memberIds: [bob] };
    const first = await call("POST", "/v1/channels", { token, body, headers });
    expect(first.status).toBe(201);
    expect((await call("POST", "/v1/channels", { token, body, headers })).json).toEqual(first.json);
    const other = await call("POST", "/v1/channels", { token, body: { ...body, title: "other" }, headers });
    expect(other.json.error?.code).toBe("NUMBER_REUSED");
    const unknown = await call("POST", "/v1/channels", { token, body: { title: "", memberIds: [99] } });
    expect(unknown.json.error?.code).toBe("NO_SUCH_USER");
  });

  it("show their members, their history, and what is unread", async () => {
    await signUp("ann");
    const { accessToken: token } = await logIn("ann");
    expect((await call("GET", "/v1/channels/g5", { token })).json.members).toEqual([{ userId: 5, role: "owner" }]);
    const { json } = await call("GET", "/v1/channels/d1.2/messages?around=1&limit=5", { token });
    expect(json.entries).toMatchObject([{ messageId: 1, content: { text: { text: "안녕" } } }]);
    expect((await call("GET", "/v1/channels", { token })).json.channels).toMatchObject([
      { channelId: "d1.2", unread: 2 },
    ]);
    expect((await call("GET", "/v1/channels/d1.2/messages?before=1&after=2", { token })).status).toBe(400);
    expect((await call("GET", "/v1/channels/d2.1", { token })).status).toBe(404);
  });

  it("that no node answers for are told as unavailable, to be tried again", async () => {
    await signUp("ann");
    const { accessToken: token } = await logIn("ann");
    world.refusing.add("describe");
    const { status, json } = await call("GET", "/v1/channels/g404", { token });
    expect([status, json.error]).toMatchObject([503, { code: "UNAVAILABLE", retryable: true, executed: "no" }]);
  });
});

describe("the edge", () => {
  it("refuses a body that is too large, and a call that does not exist", async () => {
    const body = { name: "ann", password: "x".repeat(100_000) };
    expect((await call("POST", "/v1/accounts", { body })).status).toBe(413);
    expect((await call("GET", "/v1/nothing")).json.error?.code).toBe("BAD_FRAME");
  });

  it("lets only pages call that may", async () => {
    const allow = async (origin: string) =>
      (await world.api.app.inject({ method: "OPTIONS", url: "/v1/me", headers: { origin } })).headers[
        "access-control-allow-origin"
      ];
    expect(await allow("http://localhost:8080")).toBe("http://localhost:8080");
    expect(await allow("https://evil.example")).toBeUndefined();
  });

  it("describes every call in its OpenAPI document", async () => {
    const { paths } = (await call("GET", "/openapi.json")).json as unknown as {
      paths: Record<string, Record<string, { responses: object }>>;
    };
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(described).toContain("post /v1/sessions/refresh");
    expect(described).toContain("get /v1/channels/{channelId}/messages");
    expect(described).toHaveLength(26);
    for (const [path, methods] of Object.entries(paths))
      for (const call of Object.values(methods))
        if (path.startsWith("/v1/")) expect([path, call.responses]).toMatchObject([path, { "4XX": {}, "5XX": {} }]);
  });

  it("has a status for every code that it can answer", () => {
    for (const [code, status] of Object.entries(statusOf))
      expect([code, status >= 400 && status < 600]).toEqual([code, true]);
  });
});
