// What the operator of a node may ask, with a token that only a reader of the signing key can make.

import { z } from "zod";
import { Entry, HistoryDirection, parseChannelId, type RepairRequestStanding } from "../../../proto/index.ts";
import { type ApiContext, type App, bearerOf } from "../context.ts";
import { httpErrors } from "../errors.ts";

const whyParams = z.object({ channelId: z.string().max(64), messageId: z.coerce.number().int().positive() });

const repairParams = z.object({ userId: z.coerce.number().int().positive() });

export function operatorRoutes(app: App, { accounts, refs, settings, tokens }: ApiContext): void {
  const call = { deadlineMs: settings.callDeadlineMs };

  /** The way of one message: when it was kept, whose pointer was written, which device got, acknowledged and read it. */
  app.get("/ops/why/:channelId/:messageId", { schema: { hide: true, params: whyParams } }, async (request) => {
    await tokens.verifyOperator(bearerOf(request));
    const { channelId, messageId } = request.params;
    if (parseChannelId(channelId) === undefined) throw httpErrors.NO_SUCH_CHANNEL();
    const { entry, settledId, fannedOutId, members } = await refs.channel(channelId).why({ messageId }, call);
    if (entry.length === 0) return { channelId, messageId, kept: null, settledId, fannedOutId, members: [] };
    const { author, producer, number, timeMs } = Entry.decode(entry);
    const ways = members.map(async ({ userId, confirmedId }) => {
      const [profile, way] = await Promise.all([
        accounts.profile(userId),
        refs.user(String(userId)).why({ channelId, messageId }, call),
      ]);
      // Field by field: what came from another node and has its default is no field of its own.
      const { pointerId, pointerVersion, pointerDurable, readId } = way;
      const devices = way.devices.map(({ deviceId, attached, pushed, deliveredId }) => {
        return { deviceId, attached, pushed, deliveredId };
      });
      const pointer = { pointerId, pointerVersion, pointerDurable, readId };
      return { userId, name: profile?.name ?? "", confirmed: confirmedId >= messageId, ...pointer, devices };
    });
    const kept = { author, producer, number, timeMs, bytes: entry.length };
    return { channelId, messageId, kept, settledId, fannedOutId, members: await Promise.all(ways) };
  });

  /** Where the channel stands for a member; undefined if the user is none, or has nothing of it yet. */
  const standingOf = async (channelId: string, userId: number): Promise<RepairRequestStanding | undefined> => {
    const channel = refs.channel(channelId);
    // In this order: whoever is removed between the two is no member, and whoever is let in between sees nothing of this yet.
    const newestOnly = { channelId, anchor: 0, direction: HistoryDirection.BEFORE, limit: 1 };
    const { entries, lastId } = await channel.history({ userId: 0, history: newestOnly }, call);
    const { members } = await channel.describe({ userId: 0 }, call);
    const visibleFrom = members.find((member) => member.userId === userId)?.visibleFrom;
    const newest = entries.at(-1);
    if (newest === undefined || visibleFrom === undefined || visibleFrom > lastId) return undefined;
    return { channelId, lastId, ordinal: Entry.decode(newest).ordinal, visibleFrom, newest };
  };

  /** Makes the inbox of a user whole again, as far as these channels go. */
  const body = z.object({ channelIds: z.array(z.string().max(64)).max(settings.repairChannelsMax) });
  app.post("/ops/repair/inbox/:userId", { schema: { hide: true, params: repairParams, body } }, async (request) => {
    await tokens.verifyOperator(bearerOf(request));
    const { userId } = request.params;
    const { channelIds } = request.body;
    if (channelIds.some((channelId) => parseChannelId(channelId) === undefined)) throw httpErrors.NO_SUCH_CHANNEL();
    const standings = await Promise.all(channelIds.map((channelId) => standingOf(channelId, userId)));
    const channels = standings.filter((standing) => standing !== undefined);
    const { repaired, standing } = await refs.user(String(userId)).repair({ channels }, call);
    return { repaired, standing };
  });
}
