// A channel's state as the value of a register, so that an activation need not fold the log from its first entry.

import { kept, type Role } from "../../proto/index.ts";
import { type ChannelState, emptyChannel } from "./state.ts";

export function encodeSnapshot(state: ChannelState): Uint8Array {
  return kept.ChannelSnapshot.encode({
    lastId: state.lastId,
    ordinal: state.ordinal,
    lastTimeMs: state.lastTimeMs,
    title: state.title,
    historyVisible: state.historyVisible,
    members: [...state.members.values()],
    producers: [...state.producers.values()].flat(),
    deletedIds: state.deleted,
    editableFrom: state.editableFrom,
    createdByProducer: state.createdBy?.producer ?? 0,
    createdByNumber: state.createdBy?.number ?? 0,
  }).finish();
}

export function decodeSnapshot(channelId: string, bytes: Uint8Array): ChannelState {
  const snapshot = kept.ChannelSnapshot.decode(bytes);
  const state = emptyChannel(channelId);
  state.lastId = snapshot.lastId;
  state.ordinal = snapshot.ordinal;
  state.lastTimeMs = snapshot.lastTimeMs;
  state.title = snapshot.title;
  state.historyVisible = snapshot.historyVisible;
  state.members.clear();
  for (const { userId, role, visibleFrom } of snapshot.members) {
    state.members.set(userId, { userId, role: role as Role, visibleFrom });
  }
  for (const { author, producer, lastNumber, lastId, recentIds, recentTimesMs, recentDigests } of snapshot.producers) {
    const known = state.producers.get(author) ?? [];
    // Older snapshots have no times: no entry is younger than the last one.
    const times = recentIds.map((_, at) => recentTimesMs[at] ?? snapshot.lastTimeMs);
    known.push({ author, producer, lastNumber, lastId, recentIds, recentTimesMs: times, recentDigests });
    state.producers.set(author, known);
  }
  state.deleted.push(...snapshot.deletedIds);
  state.editableFrom = Math.max(1, snapshot.editableFrom); // older snapshots do not have it
  state.createdBy = { producer: snapshot.createdByProducer, number: snapshot.createdByNumber };
  return state;
}
