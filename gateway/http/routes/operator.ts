// What the operator of a node may ask, with a token that only a reader of the signing key can make.

import { z } from "zod";
import { Entry, parseChannelId } from "../../../proto/index.ts";
import { type ApiContext, type App, bearerOf } from "../context.ts";
import { httpErrors } from "../errors.ts";

const params = z.object({ channelId: z.string().max(64), messageId: z.coerce.number().int().positive() });

export function operatorRoutes(app: App, { accounts, refs, settings, tokens }: ApiContext): void {
  const call = { deadlineMs: settings.callDeadlineMs };

  /** The way of one message: when it was kept, whose pointer was written, which device got, acknowledged and read it. */
  app.get("/ops/why/:channelId/:messageId", { schema: { hide: true, params } }, async (request) => {
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
      return { userId, name: profile?.name ?? "", confirmed: confirmedId >= messageId, ...way };
    });
    const kept = { author, producer, number, timeMs, bytes: entry.length };
    return { channelId, messageId, kept, settledId, fannedOutId, members: await Promise.all(ways) };
  });
}
