// What a channel is at one entry of its log: the fold of all entries up to it. Pure: `apply` is the only thing that changes
// it, on replay as on append, so that an owner that has just come knows what its predecessor knew.

import { type Entry, MembershipChange, parseChannelId, Role } from "../../proto/index.ts";
import { contentDigest } from "../content.ts";

export interface MemberState {
  readonly userId: number;
  role: Role;
  /** The first entry that the member may see. */
  readonly visibleFrom: number;
}

/** What is remembered of one outbox, so that each of its numbers is kept once. */
export interface ProducerState {
  readonly author: number;
  readonly producer: number;
  lastNumber: number;
  /** Entry of lastNumber: whoever has been silent longest is forgotten first. */
  lastId: number;
  /** Ids, times and digests of the newest numbers up to lastNumber, ascending. */
  readonly recentIds: number[];
  readonly recentTimesMs: number[];
  readonly recentDigests: number[];
}

export interface ChannelState {
  readonly channelId: string;
  readonly direct: boolean;
  lastId: number;
  ordinal: number;
  lastTimeMs: number;
  title: string;
  historyVisible: boolean;
  readonly members: Map<number, MemberState>;
  readonly producers: Map<number, ProducerState[]>;
  /** Entries that were deleted, in the order of their deletions; those below `editableFrom` are forgotten. */
  readonly deleted: number[];
  /** Below it nobody knows any more what was deleted. */
  editableFrom: number;
  /** Producer and number of entry 1: a group that is created twice by one request is one group. */
  createdBy: { readonly producer: number; readonly number: number } | undefined;
}

export interface Memory {
  readonly producersAMemberMax: number;
  readonly recentNumbersMax: number;
  readonly deletionsRememberedMax: number;
}

/** A channel without entries. The two of a 1:1 are its members from the start, by its name. */
export function emptyChannel(channelId: string): ChannelState {
  const name = parseChannelId(channelId);
  const members = new Map<number, MemberState>();
  if (name?.kind === "direct") {
    for (const userId of name.users) members.set(userId, { userId, role: Role.MEMBER, visibleFrom: 1 });
  }
  return {
    channelId,
    direct: name?.kind === "direct",
    lastId: 0,
    ordinal: 0,
    lastTimeMs: 0,
    title: "",
    historyVisible: false,
    members,
    producers: new Map(),
    deleted: [],
    editableFrom: 1,
    createdBy: undefined,
  };
}

export function findProducer(state: ChannelState, author: number, producer: number): ProducerState | undefined {
  return state.producers.get(author)?.find((known) => known.producer === producer);
}

export function isEditable(state: ChannelState, messageId: number): boolean {
  return messageId >= state.editableFrom && !state.deleted.includes(messageId);
}

/** True if the entry changed who is a member. */
export function apply(state: ChannelState, entry: Entry, memory: Memory): boolean {
  state.lastId = entry.messageId;
  state.ordinal = entry.ordinal;
  state.lastTimeMs = entry.timeMs;
  if (entry.messageId === 1) state.createdBy = { producer: entry.producer, number: entry.number };
  if (entry.producer !== 0) remember(state, entry, memory);
  if (entry.content?.deletion) rememberDeletion(state, entry.content.deletion.messageId, memory);
  const membership = entry.content?.membership;
  if (!membership) return false;
  switch (membership.change) {
    case MembershipChange.CREATED:
      state.historyVisible = membership.historyVisible;
      state.title = membership.title;
      for (const { userId, role } of membership.members) state.members.set(userId, { userId, role, visibleFrom: 1 });
      return true;
    case MembershipChange.ADDED: {
      const visibleFrom = state.historyVisible ? 1 : entry.messageId;
      for (const { userId, role } of membership.members) state.members.set(userId, { userId, role, visibleFrom });
      return true;
    }
    case MembershipChange.REMOVED:
    case MembershipChange.LEFT:
      for (const { userId } of membership.members) {
        state.members.delete(userId);
        forgetRecent(state, userId);
      }
      keepAnOwner(state);
      return true;
    case MembershipChange.ROLE:
      for (const { userId, role } of membership.members) {
        const member = state.members.get(userId);
        if (member !== undefined) member.role = role;
      }
      return false;
    case MembershipChange.TITLE:
      state.title = membership.title;
      return false;
  }
}

/** The oldest messages are forgotten first, and everything up to them is closed: nobody edits what is older still. */
function rememberDeletion(state: ChannelState, messageId: number, { deletionsRememberedMax }: Memory): void {
  const { deleted } = state;
  if (!isEditable(state, messageId)) return;
  deleted.push(messageId);
  if (deleted.length <= deletionsRememberedMax) return;
  const oldest = Math.min(...deleted);
  deleted.splice(deleted.indexOf(oldest), 1);
  state.editableFrom = oldest + 1;
}

/** When the last owner leaves, the channel passes to the first admin, else to its longest member. */
function keepAnOwner(state: ChannelState): void {
  const members = [...state.members.values()];
  if (members.length === 0 || members.some((member) => member.role === Role.OWNER)) return;
  const heir = members.find((member) => member.role === Role.ADMIN) ?? members[0];
  if (heir !== undefined) heir.role = Role.OWNER;
}

/** Who left may come back and send again what was kept: the last number stays, the answers to older ones need not. */
function forgetRecent(state: ChannelState, userId: number): void {
  for (const { recentIds, recentTimesMs, recentDigests } of state.producers.get(userId) ?? []) {
    recentIds.length = 0;
    recentTimesMs.length = 0;
    recentDigests.length = 0;
  }
}

function remember(state: ChannelState, entry: Entry, memory: Memory): void {
  let known = state.producers.get(entry.author);
  if (known === undefined) {
    known = [];
    state.producers.set(entry.author, known);
  }
  let producer = known.find((other) => other.producer === entry.producer);
  if (producer === undefined) {
    producer = {
      author: entry.author,
      producer: entry.producer,
      lastNumber: 0,
      lastId: 0,
      recentIds: [],
      recentTimesMs: [],
      recentDigests: [],
    };
    known.push(producer);
    if (known.length > memory.producersAMemberMax) {
      known.sort((a, b) => b.lastId - a.lastId);
      // The new one has no entry yet and stands last: the one before it has been silent longest.
      known.splice(memory.producersAMemberMax - 1, 1);
    }
  }
  producer.lastNumber = entry.number;
  producer.lastId = entry.messageId;
  producer.recentIds.push(entry.messageId);
  producer.recentTimesMs.push(entry.timeMs);
  producer.recentDigests.push(entry.content ? contentDigest(entry.content) : 0);
  if (producer.recentIds.length > memory.recentNumbersMax) {
    producer.recentIds.shift();
    producer.recentTimesMs.shift();
    producer.recentDigests.shift();
  }
}
