// The door of the chat domain: its three kinds of actor, ready to be hosted.

import type { ServiceDescriptor } from "../proto/index.ts";
import { ChannelService, FollowerService, GatewayService, PresenceService, UserService } from "../proto/index.ts";
import {
  type ActorDefinition,
  type Clock,
  defineActor,
  type Logger,
  noTracer,
  type References,
  type Tracer,
} from "../runtime/index.ts";
import type { ChannelLogStore, RegisterStore } from "../storage/index.ts";
import { Channel } from "./channel/channel.ts";
import { Presence } from "./presence/presence.ts";
import type { ChatSettings } from "./settings.ts";
import { InboxWriter } from "./user/inbox-writer.ts";
import { type PushJobStats, PushJobs, type PushPort } from "./user/push-jobs.ts";
import { UsedTickets } from "./user/used-tickets.ts";
import { User } from "./user/user.ts";

export { chatErrors } from "./errors.ts";
export { type ChatSettings, chatDefaults } from "./settings.ts";

export interface ChatOptions {
  readonly settings: ChatSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly logs: ChannelLogStore;
  readonly registers: RegisterStore;
  readonly friendsOf: (userId: number) => Promise<readonly number[]>;
  readonly userExists: (userId: number) => Promise<boolean>;
  readonly tracer?: Tracer;
  /** The push queue; without one nobody is told by push notifications. */
  readonly push?: PushPort;
  /** How actors call each other. Asked when an actor activates: the node that gives them is made after the definitions. */
  readonly references: <S extends ServiceDescriptor>(service: S) => References<S>;
}

export interface Chat {
  readonly definitions: readonly ActorDefinition[];
  /** Pointers that wait to be written. */
  pointersWaiting(): number;
  pushJobs(): PushJobStats;
  /** Writes and confirms them, and hands over the push jobs that they need, so that a node that stops leaves no channel with an unfinished fan-out. */
  flush(): Promise<void>;
}

export function createChat(options: ChatOptions): Chat {
  const { settings, clock, log, logs, registers, references, tracer = noTracer } = options;
  const { pushAfterMs, pushWatchedMax } = settings;
  const pushJobs = options.push && new PushJobs({ queue: options.push, clock, log, pushAfterMs, pushWatchedMax });
  let made: ReturnType<typeof make> | undefined;
  const make = () => {
    const users = references(UserService);
    const channels = references(ChannelService);
    const presences = references(PresenceService);
    const gateways = references(GatewayService);
    const followers = references(FollowerService);
    const { pointerFlushMs, pushFlushMs, watermarkFlushMs } = settings;
    const flushMs = { pointerFlushMs, pushFlushMs, watermarkFlushMs };
    const inboxWriter = new InboxWriter({ clock, registers, channels, ...flushMs, log, pushJobs });
    return {
      inboxWriter,
      channel: { logs, registers, users, followers, settings, tracer, userExists: options.userExists },
      user: { logs, registers, channels, gateways, inboxWriter, usedTickets: new UsedTickets(), pushJobs, settings },
      presence: { registers, users, presences, settings, friendsOf: options.friendsOf },
    };
  };
  const ports = () => {
    made ??= make();
    return made;
  };
  return {
    definitions: [
      defineActor({
        service: ChannelService,
        passivateAfterMs: settings.channelPassivateAfterMs,
        readAhead: (channelId) => Channel.readAhead(channelId, ports().channel),
        activate: (context, head) => Channel.activate(context, ports().channel, head),
      }),
      defineActor({
        service: UserService,
        passivateAfterMs: settings.userPassivateAfterMs,
        activate: (context) => User.activate(context, ports().user),
      }),
      defineActor({
        service: PresenceService,
        passivateAfterMs: settings.presencePassivateAfterMs,
        activate: (context) => Presence.activate(context, ports().presence),
      }),
    ] as unknown as readonly ActorDefinition[],
    pointersWaiting: () => made?.inboxWriter.waiting ?? 0,
    pushJobs: () => pushJobs?.stats ?? { notify: 0, clear: 0, failed: 0, watched: 0 },
    async flush() {
      await made?.inboxWriter.flush();
      await pushJobs?.flush();
    },
  };
}
