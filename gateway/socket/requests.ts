// What each frame of a client asks of the actors, and what is answered. Knows no sockets.

import {
  type ClientFrame,
  Entry,
  type History,
  type InboxPointer,
  type Pointer,
  parseChannelId,
  type Send,
  ServerFrame,
} from "../../proto/index.ts";
import type { CallOptions } from "../../runtime/index.ts";
import { gatewayErrors } from "../errors.ts";
import type { ActorRefs } from "../refs.ts";
import type { Identity } from "./session.ts";

type Answer = Omit<ServerFrame, "request">;

const done: Answer = { done: {} };

/** Answers a request other than hello, sync and heartbeat. Rejects with a MadangError. */
export async function answer(frame: ClientFrame, asker: Identity, refs: ActorRefs, call: CallOptions): Promise<Answer> {
  const { userId, deviceId } = asker;
  const user = refs.user(String(userId));
  if (frame.send) return send(frame.send, userId, refs, call);
  if (frame.history) return history(frame.history, userId, refs, call);
  if (frame.ack) {
    const { channelId, deliveredId } = frame.ack;
    user.acknowledge({ deviceId, channelId, deliveredId: checkId(deliveredId) });
    return done;
  }
  if (frame.read) {
    const { channelId, readId, ordinal } = frame.read;
    await user.read({ channelId, readId: checkId(readId), ordinal: checkId(ordinal) }, call);
    return done;
  }
  if (frame.typing) {
    refs.channel(checkChannel(frame.typing.channelId)).typing({ userId, typing: frame.typing.typing });
    return done;
  }
  if (frame.presenceWatch) {
    const { presences } = await refs.presence(String(userId)).watch({ on: frame.presenceWatch.friends }, call);
    return { presences: { presences } };
  }
  if (frame.presenceQuery) return presenceOfMembers(checkChannel(frame.presenceQuery.channelId), userId, refs, call);
  throw gatewayErrors.BAD_FRAME();
}

async function send(
  { channelId, producer, number, content }: Send,
  userId: number,
  refs: ActorRefs,
  call: CallOptions,
) {
  const request = { userId, producer: checkId(producer), number: checkId(number), content: content ?? null };
  const { messageId, timeMs } = await refs.channel(checkChannel(channelId)).post(request, call);
  return { sent: { channelId, messageId, timeMs } };
}

async function history(asked: History, userId: number, refs: ActorRefs, call: CallOptions): Promise<Answer> {
  checkId(asked.anchor);
  const channel = refs.channel(checkChannel(asked.channelId));
  const { entries, firstVisibleId, lastId } = await channel.history({ userId, history: asked }, call);
  return {
    page: {
      channelId: asked.channelId,
      entries: entries.map((record) => Entry.decode(record)),
      firstVisibleId,
      lastId,
    },
  };
}

async function presenceOfMembers(
  channelId: string,
  userId: number,
  refs: ActorRefs,
  call: CallOptions,
): Promise<Answer> {
  const { members } = await refs.channel(channelId).describe({ userId }, call);
  // Anybody can name a 1:1 with anybody, so there friends are told and strangers are not; who is in a group was let in.
  const askerId = parseChannelId(channelId)?.kind === "direct" ? userId : 0;
  const asked = members.map((member) => refs.presence(String(member.userId)).ask({ askerId }, call));
  const replies = await Promise.allSettled(asked);
  const presences = replies.flatMap((reply) =>
    reply.status === "fulfilled" && reply.value.presence ? [reply.value.presence] : [],
  );
  return { presences: { presences } };
}

/** A pointer as the client sees it. */
export function pointerFrame({ newest, visibleFrom: _, ...pointer }: InboxPointer): Uint8Array {
  const entries: Pointer["newest"] = newest.map((record) => Entry.decode(record));
  return ServerFrame.encode({ request: 0, pointer: { ...pointer, newest: entries } }).finish();
}

function checkChannel(channelId: string): string {
  if (parseChannelId(channelId) === undefined) throw gatewayErrors.NO_SUCH_CHANNEL();
  return channelId;
}

/** 64-bit integers of the wire that are not exact here are not ours. */
export function checkId(id: number): number {
  if (!Number.isSafeInteger(id) || id < 0) throw gatewayErrors.BAD_FRAME({ message: "An integer is above 2^53 - 1." });
  return id;
}
