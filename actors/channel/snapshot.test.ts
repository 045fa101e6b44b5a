import { describe, expect, it } from "vitest";
import { type Entry, kept } from "../../proto/index.ts";
import { chatDefaults } from "../settings.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot.ts";
import { apply, emptyChannel } from "./state.ts";

const entry = (messageId: number): Entry => ({
  messageId,
  author: 1,
  producer: 7,
  number: messageId,
  timeMs: messageId * 1_000,
  ordinal: messageId,
  settled: 0,
  content: { text: { text: `m${messageId}`, replyTo: 0 } },
});
const channelOf = (entries: number) => {
  const state = emptyChannel("d1.2");
  for (let id = 1; id <= entries; id++) apply(state, entry(id), chatDefaults);
  return state;
};

describe("a snapshot", () => {
  it("gives the state that it was made of", () => {
    const state = channelOf(20);
    apply(state, { ...entry(21), content: { deletion: { messageId: 3 } } }, chatDefaults);
    expect(decodeSnapshot("d1.2", encodeSnapshot(state))).toEqual(state);
  });

  it("from before times were remembered is read, and answers with the time of its last entry", () => {
    const older = kept.ChannelSnapshot.decode(encodeSnapshot(channelOf(3)));
    for (const producer of older.producers) producer.recentTimesMs = [];
    const state = decodeSnapshot("d1.2", kept.ChannelSnapshot.encode(older).finish());
    expect(state.producers.get(1)?.[0]).toMatchObject({ recentIds: [1, 2, 3], recentTimesMs: [3_000, 3_000, 3_000] });
    apply(state, entry(4), chatDefaults);
    expect(state.producers.get(1)?.[0]?.recentTimesMs).toEqual([3_000, 3_000, 3_000, 4_000]);
  });
});
