// Profiles and friends.

import { z } from "zod";
import type { ApiContext, App, WhoAsks } from "../context.ts";
import { httpErrors } from "../errors.ts";
import { idempotencyKey, once } from "../idempotency.ts";
import * as shapes from "../shapes.ts";

export function peopleRoutes(app: App, { accounts, refs }: ApiContext, whoAsks: WhoAsks): void {
  const tags = ["people"];

  /** Both presence actors change whom they tell. */
  const friendsChanged = (one: number, other: number, friends: boolean) => {
    refs.presence(String(one)).friendsChanged({ friendId: other, friends });
    refs.presence(String(other)).friendsChanged({ friendId: one, friends });
  };

  app.get(
    "/v1/me",
    { schema: { summary: "Own profile", tags, response: { 200: shapes.profile } } },
    async (request) => {
      const profile = await accounts.profile((await whoAsks(request)).userId);
      if (profile === undefined) throw httpErrors.NO_SUCH_USER();
      return profile;
    },
  );

  app.patch(
    "/v1/me",
    {
      schema: {
        summary: "Change the own profile",
        tags,
        body: z.object({ displayName: shapes.displayName }),
        response: { 200: shapes.profile },
      },
    },
    async (request) => accounts.rename((await whoAsks(request)).userId, request.body.displayName),
  );

  app.get(
    "/v1/users",
    {
      schema: {
        summary: "Find a user by name",
        tags,
        querystring: z.object({ name: shapes.name }),
        response: { 200: shapes.profile },
      },
    },
    async (request) => {
      await whoAsks(request);
      const profile = await accounts.profileByName(request.query.name);
      if (profile === undefined) throw httpErrors.NO_SUCH_USER();
      return profile;
    },
  );

  app.get(
    "/v1/users/:userId",
    { schema: { summary: "A user", tags, params: shapes.userParams, response: { 200: shapes.profile } } },
    async (request) => {
      await whoAsks(request);
      const profile = await accounts.profile(request.params.userId);
      if (profile === undefined) throw httpErrors.NO_SUCH_USER();
      return profile;
    },
  );

  const profiles = z.array(shapes.profile);

  app.get(
    "/v1/friends",
    { schema: { summary: "Friends", tags, response: { 200: z.object({ friends: profiles }) } } },
    async (request) => ({ friends: await accounts.friendProfiles((await whoAsks(request)).userId) }),
  );

  app.get(
    "/v1/friends/requests",
    {
      schema: {
        summary: "Friend requests that wait for an answer",
        tags,
        response: { 200: z.object({ incoming: profiles, outgoing: profiles }) },
      },
    },
    async (request) => accounts.requestsOf((await whoAsks(request)).userId),
  );

  const friendState = z.object({ friends: z.boolean() });
  app.post(
    "/v1/friends/requests",
    {
      schema: {
        summary: "Ask somebody to be a friend; two requests that cross make a friendship",
        tags,
        body: shapes.userBody,
        response: { 200: friendState, 201: friendState },
      },
    },
    async (request, reply) => {
      const { userId } = await whoAsks(request);
      const to = request.body.userId;
      const { friends } = await once(accounts, `friend ${userId}`, idempotencyKey(request), request.body, async () => {
        const friends = (await accounts.requestFriend(userId, to)) === "friends";
        // Not told again with a repeated answer: the friendship may have ended since.
        if (friends) friendsChanged(userId, to, true);
        return { friends };
      });
      return reply.code(friends ? 200 : 201).send({ friends });
    },
  );

  for (const accept of [true, false]) {
    app.post(
      `/v1/friends/requests/:userId/${accept ? "accept" : "decline"}`,
      {
        schema: {
          summary: accept ? "Accept a friend request" : "Decline a friend request",
          tags,
          params: shapes.userParams,
          response: { 204: shapes.nothing },
        },
      },
      async (request, reply) => {
        const { userId } = await whoAsks(request);
        const answered = await accounts.answerRequest(request.params.userId, userId, accept);
        if (!answered) throw httpErrors.NO_SUCH_USER({ message: "That user has not asked." });
        if (accept) friendsChanged(userId, request.params.userId, true);
        return reply.code(204).send(null);
      },
    );
  }

  app.delete(
    "/v1/friends/:userId",
    { schema: { summary: "End a friendship", tags, params: shapes.userParams, response: { 204: shapes.nothing } } },
    async (request, reply) => {
      const { userId } = await whoAsks(request);
      const were = await accounts.unfriend(userId, request.params.userId);
      if (!were) throw httpErrors.NO_SUCH_USER({ message: "That user is not a friend." });
      friendsChanged(userId, request.params.userId, false);
      return reply.code(204).send(null);
    },
  );
}
