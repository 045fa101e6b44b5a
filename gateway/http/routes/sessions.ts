// Sign-up, log-in, refresh, log-out, tickets, the gateway to use.

import { randomUUID } from "node:crypto";
import { z } from "zod";
import { networkOf } from "../attempts.ts";
import { type ApiContext, type App, bearerOf, type WhoAsks } from "../context.ts";
import { httpErrors } from "../errors.ts";
import { idempotencyKey, once } from "../idempotency.ts";
import * as shapes from "../shapes.ts";
import { refreshHash } from "../tokens.ts";

export function sessionRoutes(app: App, context: ApiContext, whoAsks: WhoAsks): void {
  const { accounts, attempts, gatewayFor, passwords, refs, settings, tokens, clock } = context;
  const refreshUntilMs = () => clock.wallMs() + settings.refreshTokenS * 1_000;
  const credentialsOf = async (identity: Parameters<typeof tokens.issueAccess>[0], refreshToken: string) => ({
    userId: identity.userId,
    deviceId: identity.deviceId,
    accessToken: await tokens.issueAccess(identity),
    accessExpiresInS: settings.accessTokenS,
    refreshToken,
    refreshExpiresInS: settings.refreshTokenS,
  });

  app.post(
    "/v1/accounts",
    {
      schema: {
        summary: "Sign up",
        tags: ["sessions"],
        body: z.object({ name: shapes.name, password: shapes.password, displayName: shapes.displayName.optional() }),
        response: { 201: shapes.profile },
      },
    },
    async (request, reply) => {
      const { name, password, displayName = name } = request.body;
      attempts.take(`sign-up ${networkOf(request.ip)}`, settings.signUpsAnAddressMax);
      const key = idempotencyKey(request);
      const profile = await once(accounts, "sign-up", key, { name, displayName }, async (newId) => {
        const passwordHash = await passwords.hash(password);
        return accounts.createUser({ userId: await newId(), name, displayName, passwordHash });
      });
      return reply.code(201).send(profile);
    },
  );

  app.post(
    "/v1/sessions",
    {
      schema: {
        summary: "Log in",
        tags: ["sessions"],
        body: z.object({ name: shapes.name, password: z.string().max(256), device: shapes.deviceBody }),
        response: { 201: shapes.credentials },
      },
    },
    async (request, reply) => {
      const { name, password, device } = request.body;
      attempts.take(`address ${networkOf(request.ip)}`, settings.logInsAnAddressMax);
      const retryAfterMs = await accounts.takeAttempt(
        `log-in ${name}`,
        settings.logInsANameMax,
        settings.attemptsWindowMs,
      );
      if (retryAfterMs > 0) throw httpErrors.TOO_MANY_REQUESTS({ retryAfterMs });
      const found = await accounts.passwordOf(name);
      const right = await passwords.matches(password, found?.passwordHash);
      if (found === undefined || !right)
        throw httpErrors.UNAUTHENTICATED({ message: "The name or the password is wrong." });
      await accounts.clearAttempts(`log-in ${name}`); // those before were a person's
      const refresh = tokens.newRefresh();
      const identity = await accounts.openLogIn({
        loginId: randomUUID(),
        userId: found.userId,
        deviceId: device.deviceId,
        deviceName: device.name,
        refreshHash: refresh.hash,
        expiresMs: refreshUntilMs(),
      });
      return reply.code(201).send(await credentialsOf(identity, refresh.token));
    },
  );

  app.post(
    "/v1/sessions/refresh",
    {
      schema: {
        summary: "Exchange a refresh token, which can be used once, for new tokens",
        tags: ["sessions"],
        body: z.object({ refreshToken: z.string().max(256) }),
        response: { 200: shapes.credentials },
      },
    },
    async ({ body }) => {
      const refresh = tokens.newRefresh();
      const rotation = await accounts.rotate(refreshHash(body.refreshToken), refresh.hash, refreshUntilMs());
      if (rotation.kind === "rotated") return credentialsOf(rotation, refresh.token);
      if (rotation.kind === "reused") await endSockets(rotation.userId, rotation.loginId);
      throw httpErrors.UNAUTHENTICATED({ message: "The refresh token is not valid; log in again." });
    },
  );

  const endSockets = (userId: number, loginId: string) =>
    refs.user(String(userId)).endSession({ loginId }, { deadlineMs: settings.callDeadlineMs });

  app.delete(
    "/v1/sessions/current",
    { schema: { summary: "Log out", tags: ["sessions"], response: { 204: shapes.nothing } } },
    async (request, reply) => {
      // Also for a log-in that has ended: whoever was told that its sockets could not be closed asks again.
      const { userId, loginId } = await tokens.verifyAccess(bearerOf(request));
      await accounts.closeLogIn(loginId);
      await endSockets(userId, loginId);
      return reply.code(204).send(null);
    },
  );

  app.post(
    "/v1/tickets",
    {
      schema: {
        summary: "A ticket for one WebSocket connection",
        tags: ["sessions"],
        querystring: shapes.gatewayWish,
        response: { 201: z.object({ ticket: z.string(), expiresInS: z.number(), url: z.string() }) },
      },
    },
    async (request, reply) => {
      const ticket = await tokens.issueTicket(await whoAsks(request));
      return reply.code(201).send({ ticket, expiresInS: settings.ticketS, url: gatewayFor(request.query) });
    },
  );

  app.get(
    "/v1/gateway",
    {
      schema: {
        summary: "The WebSocket address to use",
        tags: ["sessions"],
        querystring: shapes.gatewayWish,
        response: { 200: z.object({ url: z.string() }) },
      },
    },
    async (request) => ({ url: gatewayFor(request.query) }),
  );

  app.get(
    "/v1/devices",
    {
      schema: {
        summary: "Devices that are logged in",
        tags: ["sessions"],
        response: { 200: z.object({ devices: z.array(shapes.device) }) },
      },
    },
    async (request) => ({ devices: await accounts.devices((await whoAsks(request)).userId) }),
  );

  app.delete(
    "/v1/devices/:deviceId",
    {
      schema: {
        summary: "Log a device out",
        tags: ["sessions"],
        params: shapes.deviceParams,
        response: { 204: shapes.nothing },
      },
    },
    async (request, reply) => {
      const { userId } = await whoAsks(request);
      const closed = await accounts.removeDevice(userId, request.params.deviceId);
      await Promise.all(closed.map((loginId) => endSockets(userId, loginId)));
      return reply.code(204).send(null);
    },
  );
}
