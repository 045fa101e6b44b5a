// Groups, members, history.

import { z } from "zod";
import {
  Entry,
  HistoryDirection,
  type InboxPointer,
  type Membership,
  MembershipChange,
  parseChannelId,
  Role,
} from "../../../proto/index.ts";
import type { ApiContext, App, WhoAsks } from "../context.ts";
import { httpErrors } from "../errors.ts";
import { idempotencyKey, once } from "../idempotency.ts";
import * as shapes from "../shapes.ts";

const roles = { member: Role.MEMBER, admin: Role.ADMIN, owner: Role.OWNER } as const;
const roleNames = ["member", "admin", "owner"] as const;
/** Pages of an inbox that one answer gathers. */
const INBOX_PAGES_MAX = 50;

export function channelRoutes(app: App, { accounts, refs, settings }: ApiContext, whoAsks: WhoAsks): void {
  const tags = ["channels"];
  const call = { deadlineMs: settings.callDeadlineMs };
  const channel = (channelId: string) => {
    if (parseChannelId(channelId) === undefined) throw httpErrors.NO_SUCH_CHANNEL();
    return refs.channel(channelId);
  };
  const mustExist = async (userIds: readonly number[]) => {
    const unknown = await accounts.unknownUsers(userIds);
    if (unknown.length > 0) throw httpErrors.NO_SUCH_USER({ message: `There is no user ${unknown[0]}.` });
  };

  app.post(
    "/v1/channels",
    {
      schema: {
        summary: "Create a group",
        tags,
        body: shapes.groupBody,
        response: { 201: z.object({ channelId: z.string(), messageId: z.number() }) },
      },
    },
    async (request, reply) => {
      const { userId } = await whoAsks(request);
      const { title, memberIds, historyVisible = false } = request.body;
      await mustExist(memberIds);
      const scope = `group ${userId}`;
      const made = await once(accounts, scope, idempotencyKey(request), request.body, async (newId) => {
        const groupId = await newId();
        // Nobody else creates this group, so its id serves as the producer: a repeated creation is recognised by it.
        const create = { userId, producer: groupId, number: 1, title, memberIds, historyVisible };
        const { messageId } = await channel(`g${groupId}`).create(create, call);
        return { channelId: `g${groupId}`, messageId };
      });
      return reply.code(201).send(made);
    },
  );

  app.get(
    "/v1/channels",
    {
      schema: {
        summary: "Own channels",
        tags,
        response: { 200: z.object({ channels: z.array(shapes.channelSummary) }) },
      },
    },
    async (request) => {
      const { userId } = await whoAsks(request);
      const pointers: InboxPointer[] = [];
      let afterVersion = 0;
      for (let pages = 0; pages < INBOX_PAGES_MAX; pages++) {
        const reply = await refs.user(String(userId)).inbox({ afterVersion, limit: 0 }, call);
        pointers.push(...reply.pointers);
        afterVersion = reply.cursor;
        if (!reply.more) break;
      }
      return {
        channels: pointers.map(({ channelId, lastId, ordinal, readId, readOrdinal, left }) => ({
          channelId,
          lastId,
          ordinal,
          readId,
          readOrdinal,
          unread: ordinal - readOrdinal,
          left,
        })),
      };
    },
  );

  app.get(
    "/v1/channels/:channelId",
    {
      schema: {
        summary: "A channel and its members",
        tags,
        params: shapes.channelParams,
        response: { 200: shapes.channelDescription },
      },
    },
    async (request) => {
      const { userId } = await whoAsks(request);
      const { channelId } = request.params;
      const { title, lastId, members } = await channel(channelId).describe({ userId }, call);
      const named = members.map((member) => ({ userId: member.userId, role: roleNames[member.role] ?? "member" }));
      return { channelId, title, lastId, members: named };
    },
  );

  const change = async (userId: number, channelId: string, membership: Partial<Membership>) => {
    const full: Membership = {
      change: MembershipChange.TITLE,
      members: [],
      title: "",
      historyVisible: false,
      ...membership,
    };
    const { messageId } = await channel(channelId).change({ userId, producer: 0, number: 0, membership: full }, call);
    return { messageId };
  };

  app.patch(
    "/v1/channels/:channelId",
    {
      schema: {
        summary: "Rename a group",
        tags,
        params: shapes.channelParams,
        body: z.object({ title: shapes.title }),
        response: { 200: shapes.kept },
      },
    },
    async (request) => {
      const { userId } = await whoAsks(request);
      return change(userId, request.params.channelId, { change: MembershipChange.TITLE, title: request.body.title });
    },
  );

  app.post(
    "/v1/channels/:channelId/members",
    {
      schema: {
        summary: "Add a member",
        tags,
        params: shapes.channelParams,
        body: shapes.memberBody,
        response: { 200: shapes.kept },
      },
    },
    async (request) => {
      const { userId } = await whoAsks(request);
      const { userId: added, role = "member" } = request.body;
      await mustExist([added]);
      const members = [{ userId: added, role: roles[role] }];
      return change(userId, request.params.channelId, { change: MembershipChange.ADDED, members });
    },
  );

  app.patch(
    "/v1/channels/:channelId/members/:userId",
    {
      schema: {
        summary: "Change a member's role",
        tags,
        params: shapes.memberParams,
        body: z.object({ role: shapes.role }),
        response: { 200: shapes.kept },
      },
    },
    async (request) => {
      const { userId } = await whoAsks(request);
      const members = [{ userId: request.params.userId, role: roles[request.body.role] }];
      return change(userId, request.params.channelId, { change: MembershipChange.ROLE, members });
    },
  );

  app.delete(
    "/v1/channels/:channelId/members/:userId",
    {
      schema: {
        summary: "Remove a member, or leave",
        tags,
        params: shapes.memberParams,
        response: { 200: shapes.kept },
      },
    },
    async (request) => {
      const { userId } = await whoAsks(request);
      const leaves = request.params.userId === userId;
      const members = [{ userId: request.params.userId, role: Role.MEMBER }];
      const kind = leaves ? MembershipChange.LEFT : MembershipChange.REMOVED;
      return change(userId, request.params.channelId, { change: kind, members });
    },
  );

  app.get(
    "/v1/channels/:channelId/messages",
    {
      schema: {
        summary: "A page of the history, ascending; the newest without before, after or around",
        tags,
        params: shapes.channelParams,
        querystring: shapes.pageQuery,
        response: { 200: shapes.page },
      },
    },
    async (request) => {
      const { userId } = await whoAsks(request);
      const { channelId } = request.params;
      const { before, after, around, limit = 0 } = request.query;
      if ([before, after, around].filter((anchor) => anchor !== undefined).length > 1) {
        throw httpErrors.BAD_FRAME({ message: "One of before, after and around." });
      }
      const direction =
        around !== undefined
          ? HistoryDirection.AROUND
          : after !== undefined
            ? HistoryDirection.AFTER
            : HistoryDirection.BEFORE;
      const history = { channelId, anchor: before ?? after ?? around ?? 0, direction, limit };
      const reply = await channel(channelId).history({ userId, history }, call);
      return {
        entries: reply.entries.map((record) => toJson(Entry.decode(record))),
        firstVisibleId: reply.firstVisibleId,
        lastId: reply.lastId,
      };
    },
  );
}

/** Plain data: the message of a content without the class around it, bytes as base64. */
function toJson({ messageId, author, producer, number, timeMs, ordinal, content }: Entry): Record<string, unknown> {
  const plain = JSON.parse(
    JSON.stringify(content ?? {}, (_, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value,
    ),
  ) as unknown;
  return { messageId, author, producer, number, timeMs, ordinal, content: plain };
}
