// What the promises came to: what the clients recorded, against what a full read of the kept log finds. Pure.

import type { KeptLog } from "./reader.ts";

/** One call of send, and what it was told. */
export interface SendRecord {
  readonly channelId: string;
  readonly author: number;
  readonly text: string;
  outcome:
    | { readonly kind: "waiting" }
    | { readonly kind: "acknowledged"; readonly messageId: number }
    | { readonly kind: "refused"; readonly code: string };
}

/** What one device was told of one channel, in the order in which it was told. */
export interface HeardRecord {
  readonly device: string;
  readonly channelId: string;
  readonly entries: { readonly messageId: number; readonly text: string | undefined }[];
}

export interface Counts {
  readonly sent: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly unanswered: number;
  readonly kept: number;
  readonly delivered: number;
  /** Acknowledged, and not kept under that id with that text; or told to a device, and not kept. */
  readonly lost: number;
  /** Texts that are kept more than once, ids with two records, and entries that a device was told more than once. */
  readonly twice: number;
  /** Entries that a device was told after a later one, and texts kept in another order than their author sent them in. */
  readonly outOfOrder: number;
  /** Ids that are missing in a log, or that a member's device was never told. */
  readonly holes: number;
}

/** `heard` has one record for each device and channel that the device is a member of, also when nothing was heard. */
export function countPromises(
  sends: readonly SendRecord[],
  heard: readonly HeardRecord[],
  logs: ReadonlyMap<string, KeptLog>,
): Counts {
  const outcomes = (kind: SendRecord["outcome"]["kind"]) => sends.filter(({ outcome }) => outcome.kind === kind).length;
  let kept = 0;
  for (const { entries } of logs.values()) kept += entries.size;
  return {
    sent: sends.length,
    acknowledged: outcomes("acknowledged"),
    refused: outcomes("refused"),
    unanswered: outcomes("waiting"),
    kept,
    delivered: heard.reduce((sum, { entries }) => sum + entries.length, 0),
    lost: lostSends(sends, logs) + inventedEntries(heard, logs),
    twice: twiceKept(sends, logs) + twiceHeard(heard),
    outOfOrder: sends.length === 0 ? 0 : disordered(heard) + disorderedLogs(sends, logs),
    holes: holesInLogs(logs) + holesOfDevices(heard, logs),
  };
}

/** No promise was broken, and everything that was sent was answered. */
export function allKept({ lost, twice, outOfOrder, holes, unanswered, refused }: Counts): boolean {
  return lost + twice + outOfOrder + holes + unanswered + refused === 0;
}

function lostSends(sends: readonly SendRecord[], logs: ReadonlyMap<string, KeptLog>): number {
  return sends.filter(({ channelId, author, text, outcome }) => {
    if (outcome.kind !== "acknowledged") return false;
    const entry = logs.get(channelId)?.entries.get(outcome.messageId);
    return entry?.text !== text || entry.author !== author || entry.messageId !== outcome.messageId;
  }).length;
}

function inventedEntries(heard: readonly HeardRecord[], logs: ReadonlyMap<string, KeptLog>): number {
  let count = 0;
  for (const { channelId, entries } of heard) {
    const log = logs.get(channelId);
    for (const { messageId, text } of entries) {
      const kept = log?.entries.get(messageId);
      if (kept === undefined || kept.text !== text) count += 1;
    }
  }
  return count;
}

function twiceKept(sends: readonly SendRecord[], logs: ReadonlyMap<string, KeptLog>): number {
  const seen = new Set<string>();
  let count = 0;
  for (const [channelId, { entries, torn }] of logs) {
    count += torn.length;
    for (const { author, text } of entries.values()) {
      if (text === undefined) continue;
      const key = JSON.stringify([channelId, author, text]);
      if (seen.has(key)) count += 1;
      seen.add(key);
    }
  }
  // Two sends that were told the same id: one of them stands for both.
  const told = sends.flatMap(({ channelId, outcome }) =>
    outcome.kind === "acknowledged" ? [`${channelId} ${outcome.messageId}`] : [],
  );
  return count + told.length - new Set(told).size;
}

function twiceHeard(heard: readonly HeardRecord[]): number {
  return heard.reduce((sum, { entries }) => sum + entries.length - new Set(entries.map((e) => e.messageId)).size, 0);
}

function disordered(heard: readonly HeardRecord[]): number {
  let count = 0;
  for (const { entries } of heard) {
    let highest = 0;
    for (const { messageId } of entries) {
      if (messageId < highest) count += 1;
      highest = Math.max(highest, messageId);
    }
  }
  return count;
}

/** An author's texts in one channel stand in the order in which they were sent. */
function disorderedLogs(sends: readonly SendRecord[], logs: ReadonlyMap<string, KeptLog>): number {
  const places = new Map<string, number>();
  const line = (channelId: string, author: number) => `${channelId} ${author}`;
  for (const [place, { channelId, author, text }] of sends.entries()) {
    places.set(JSON.stringify([line(channelId, author), text]), place);
  }
  const highest = new Map<string, number>();
  let count = 0;
  for (const [channelId, { entries }] of logs) {
    const ascending = [...entries].sort(([a], [b]) => a - b);
    for (const [, { author, text }] of ascending) {
      const place = places.get(JSON.stringify([line(channelId, author), text]));
      if (place === undefined) continue;
      const before = highest.get(line(channelId, author)) ?? -1;
      if (place < before) count += 1;
      highest.set(line(channelId, author), Math.max(place, before));
    }
  }
  return count;
}

function holesInLogs(logs: ReadonlyMap<string, KeptLog>): number {
  let count = 0;
  for (const { entries } of logs.values()) count += Math.max(0, ...entries.keys()) - entries.size;
  return count;
}

function holesOfDevices(heard: readonly HeardRecord[], logs: ReadonlyMap<string, KeptLog>): number {
  let count = 0;
  for (const { channelId, entries } of heard) {
    const ids = new Set(entries.map(({ messageId }) => messageId));
    for (const id of logs.get(channelId)?.entries.keys() ?? []) if (!ids.has(id)) count += 1;
  }
  return count;
}
