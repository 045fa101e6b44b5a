// The channel actor: the only writer of one channel's log.
//
// (C1) An ack, a history page, a delivery: all rest on settled entries only.
// (C2) (author, producer, number) is kept once: the channel takes a producer's numbers one after another.
// (C3) What is decided, is decided by the tail: who was removed by an entry in flight is no member for the next one.
// (C4) The snapshot never covers an entry whose fan-out is not confirmed, so that a successor can work out its audience.
// (C5) Nothing leaves before the wake row that covers it is durable.
// (C6) The head is read beside the claim. It only rises, so what is too old makes the replay longer and nothing else.

import {
  type AnnounceRequest,
  type ChangeRequest,
  type ChannelService,
  type ConfirmNotice,
  Content,
  type CreateRequest,
  type DescribeReply,
  type DescribeRequest,
  Entry,
  type FollowerService,
  type FollowReply,
  type FollowRequest,
  type HistoryReply,
  type HistoryRequest,
  type Membership,
  MembershipChange,
  type PostReply,
  type PostRequest,
  type ReceiptNotice,
  Role,
  Shed,
  type TypingChange,
  type UnfollowNotice,
  type UserService,
  type WhyReply,
  type WhyRequest,
} from "../../proto/index.ts";
import {
  type ActorContext,
  assert,
  type Handlers,
  isServiceId,
  Later,
  type Lifecycle,
  type References,
  runtimeErrors,
  type Span,
  type Tracer,
  type Turn,
} from "../../runtime/index.ts";
import type { ChannelLog, ChannelLogStore, RegisterStore, RegisterWrite } from "../../storage/index.ts";
import { checkContent, contentDigest, countsAsUnread, nextOrdinalOf, targetOf } from "../content.ts";
import { chatErrors } from "../errors.ts";
import { typingFrame } from "../frames.ts";
import type { ChatSettings } from "../settings.ts";
import type { Audience } from "./audience.ts";
import { FanOut } from "./fan-out.ts";
import { Followers } from "./followers.ts";
import { type Head, headFrom, type Snapshot, settledWrite, snapshotWrites } from "./head.ts";
import { historyRange } from "./history.ts";
import { Receipts } from "./receipts.ts";
import { checkChange } from "./rights.ts";
import { encodeSnapshot } from "./snapshot.ts";
import { apply, type ChannelState, findProducer, isEditable } from "./state.ts";

export interface ChannelPorts {
  readonly logs: ChannelLogStore;
  readonly registers: RegisterStore;
  readonly users: References<typeof UserService>;
  readonly followers: References<typeof FollowerService>;
  readonly settings: ChatSettings;
  readonly tracer: Tracer;
  /** Whether an account of this id exists; asked before a 1:1 gets its first entry. */
  readonly userExists: (userId: number) => Promise<boolean>;
}

/** A sender that waits for its ack. */
interface Waiting {
  readonly id: number;
  readonly timeMs: number;
  readonly later: Later<PostReply>;
  /** Of the append, when the send is traced. */
  readonly span: Span | undefined;
}

const nobody: readonly number[] = [];
/** The author of what no user has written, and the asker that is the house itself. */
const SYSTEM = 0;
const theHouse = { visibleFrom: 1 };
/** Methods that append something, nearly always. */
const APPENDS: ReadonlySet<string> = new Set<keyof Handlers<typeof ChannelService>>([
  "post",
  "announce",
  "create",
  "change",
]);

export class Channel implements Handlers<typeof ChannelService>, Lifecycle {
  readonly #context: ActorContext;
  readonly #ports: ChannelPorts;
  readonly #log: ChannelLog;
  readonly #state: ChannelState;
  readonly #fanOut: FanOut;
  readonly #receipts: Receipts;
  readonly #followers: Followers;
  #audience: Audience;
  #waiting: Waiting[] = [];
  #snapshotAt: number;
  #bytesSinceSnapshot = 0;
  #pendingSnapshot: Snapshot | undefined;
  #quiet: (() => void) | undefined;

  /** (C6) */
  static async readAhead(channelId: string, ports: ChannelPorts): Promise<Head> {
    return headFrom(channelId, await ports.registers.read("head", channelId));
  }

  static async activate(context: ActorContext, ports: ChannelPorts, head: Head): Promise<Channel> {
    const channelId = context.id;
    const { state, fannedOut, settled } = head;
    // Beside the read of the log, so that whoever appends finds the row there (C5), or tries again and tells what is wrong. Where
    // nothing is appended in the end, it is swept.
    if (APPENDS.has(context.activatedFor)) context.wakeOnFailover()?.catch(() => undefined);
    const opening: { channel: Channel | undefined; settledEarly: number } = { channel: undefined, settledEarly: 0 };
    const log = await ports.logs.open(
      channelId,
      { shard: context.shard, epoch: context.epoch },
      {
        onSettled(through) {
          if (opening.channel === undefined) opening.settledEarly = through;
          else opening.channel.#onSettled(through);
        },
        // The runtime is told by the fence and calls lost().
        onLost() {},
      },
      { settled, replayFrom: state.lastId + 1 },
    );
    const channel = new Channel(context, ports, log, state, fannedOut);
    opening.channel = channel;
    await channel.#replay();
    if (opening.settledEarly > 0) channel.#onSettled(opening.settledEarly);
    return channel;
  }

  private constructor(
    context: ActorContext,
    ports: ChannelPorts,
    log: ChannelLog,
    state: ChannelState,
    fannedOut: number,
  ) {
    this.#context = context;
    this.#ports = ports;
    this.#log = log;
    this.#state = state;
    this.#snapshotAt = state.lastId;
    this.#fanOut = new FanOut(fannedOut, {
      channelId: context.id,
      context,
      users: ports.users,
      logs: ports.logs,
      settings: ports.settings,
      onSent: (firstId, records) => this.#followers.tell(firstId, records),
      onProgress: () => this.#progressed(),
    });
    this.#followers = new Followers({
      channelId: context.id,
      clock: context.clock,
      references: ports.followers,
      settings: ports.settings,
    });
    this.#audience = this.#fanOut.book.of(state.members.keys());
    this.#receipts = new Receipts({
      channelId: context.id,
      context,
      users: ports.users,
      receiptFlushMs: ports.settings.receiptFlushMs,
      members: () => this.#audience,
    });
  }

  /** Folds the entries above the snapshot; those whose fan-out nobody has confirmed go out again. */
  async #replay(): Promise<void> {
    const from = this.#state.lastId + 1;
    const fannedOut = this.#fanOut.book.confirmedThrough;
    for await (const { id, record } of this.#log.replay(from)) this.#fold(Entry.decode(record), record, id > fannedOut);
    assert(this.#state.lastId === this.#log.tail, "the state is folded up to the tail");
    if (this.#log.tail === 0) return this.#context.setUnfinished(false);
    const adopted = this.#log.settled < this.#log.tail;
    this.#context.setUnfinished(adopted || this.#log.tail > fannedOut);
    if (adopted) {
      await this.#context.wakeOnFailover(); // (C5) holds for copies too
      await this.#log.settleAdopted();
    }
    this.#fanOut.release(this.#log.settled);
  }

  /** Puts an entry into the state and, if it is to be fanned out, on its way. */
  #fold(entry: Entry, record: Uint8Array, outgoing: boolean, traceparent = ""): void {
    const before = this.#audience;
    const changed = apply(this.#state, entry, this.#ports.settings);
    if (changed) this.#audience = this.#fanOut.book.of(this.#state.members.keys());
    if (!outgoing) return;
    const { messageId: id, author, ordinal } = entry;
    const counts = countsAsUnread(entry.content);
    if (!changed) {
      const audience = this.#audience;
      this.#fanOut.push({
        id,
        author,
        ordinal,
        counts,
        record,
        audience,
        removed: nobody,
        added: undefined,
        traceparent,
      });
      return;
    }
    const named = entry.content?.membership?.members.map((member) => member.userId) ?? [];
    const removed = named.filter((userId) => !this.#state.members.has(userId));
    const members = this.#state.members;
    const added = new Map(named.flatMap((userId) => [[userId, members.get(userId)?.visibleFrom ?? 0] as const]));
    const leavers = before.recipients.filter(({ userId }) => removed.includes(userId)).map(({ userId }) => userId);
    const audience = leavers.length === 0 ? this.#audience : this.#fanOut.book.of([...members.keys(), ...leavers]);
    this.#fanOut.push({ id, author, ordinal, counts, record, audience, removed, added, traceparent });
  }

  // ---- sending

  post(request: PostRequest, { traceparent }: Turn): Later<PostReply> | Promise<Later<PostReply>> {
    const { userId, producer, number, content } = request;
    if (!this.#state.members.has(userId)) throw this.#notAMember();
    checkContent(content, this.#ports.settings);
    const kept = this.#alreadyKept(userId, producer, number, content);
    if (kept !== undefined) return kept;
    const target = targetOf(content);
    const first = this.#state.direct && this.#state.lastId === 0;
    const registered = this.#context.wakeOnFailover();
    if (registered === undefined && target === 0 && !first)
      return this.#append(userId, producer, number, content, traceparent);
    return this.#appendAfter(registered, request, content, target, first, traceparent);
  }

  async #appendAfter(
    registered: Promise<void> | undefined,
    { userId, producer, number }: PostRequest,
    content: Content,
    target: number,
    first: boolean,
    traceparent: string,
  ): Promise<Later<PostReply>> {
    if (target !== 0) await this.#checkTarget(userId, content, target);
    if (first) {
      for (const peer of this.#state.members.keys()) {
        if (!(await this.#ports.userExists(peer))) throw chatErrors.NO_SUCH_USER();
      }
    }
    await registered;
    return this.#append(userId, producer, number, content, traceparent);
  }

  #append(author: number, producer: number, number: number, content: Content, traceparent: string): Later<PostReply> {
    const id = this.#log.tail + 1;
    const entry: Entry = {
      messageId: id,
      author,
      producer,
      number,
      timeMs: Math.max(this.#state.lastTimeMs, this.#context.clock.wallMs()),
      ordinal: nextOrdinalOf(this.#state.ordinal, content),
      settled: this.#log.settled,
      content,
    };
    const record = Entry.encode(entry).finish();
    const given = this.#log.append(record); // throws OVERLOADED before anything has changed
    assert(given === id, "the log gives the id that the record carries");
    this.#context.setUnfinished(true);
    const facts = { "madang.message_id": id, "madang.bytes": record.length };
    const span = traceparent === "" ? undefined : this.#ports.tracer.start("log.append", traceparent, facts);
    this.#fold(entry, record, true, traceparent);
    this.#bytesSinceSnapshot += record.length;
    this.#considerSnapshot();
    return this.#whenSettled(id, entry.timeMs, span);
  }

  #whenSettled(id: number, timeMs: number, span?: Span): Later<PostReply> {
    const later = new Later<PostReply>();
    if (id <= this.#log.settled) later.resolve({ messageId: id, timeMs });
    else this.#waiting.push({ id, timeMs, later, span });
    return later;
  }

  /** (C2) The answer if the number was kept; undefined if it is the next one; else the refusal. */
  #alreadyKept(author: number, producer: number, number: number, content: Content): Later<PostReply> | undefined {
    if (producer === 0 || number === 0) throw chatErrors.OUT_OF_ORDER({ detail: { expectedNumber: 1 } });
    const known = findProducer(this.#state, author, producer);
    const expectedNumber = (known?.lastNumber ?? 0) + 1;
    if (number === expectedNumber) return undefined;
    if (known === undefined || number > expectedNumber) throw chatErrors.OUT_OF_ORDER({ detail: { expectedNumber } });
    const at = known.recentIds.length - (expectedNumber - number);
    const id = known.recentIds[at];
    if (id === undefined) throw chatErrors.ALREADY_KEPT({ detail: { expectedNumber } });
    if (known.recentDigests[at] !== contentDigest(content))
      throw chatErrors.NUMBER_REUSED({ detail: { expectedNumber } });
    return this.#whenSettled(id, known.recentTimesMs[at] ?? this.#state.lastTimeMs);
  }

  async #checkTarget(userId: number, content: Content, target: number): Promise<void> {
    if (target > this.#log.settled) throw chatErrors.NOT_ALLOWED({ message: "There is no such message yet." });
    const range = { from: target, to: target, rowsMax: 1, bytesMax: 1 };
    const [row] = await this.#ports.logs.read(this.#context.id, range);
    const entry = row && Entry.decode(row.record);
    const visible =
      entry && entry.messageId >= (this.#state.members.get(userId)?.visibleFrom ?? Number.POSITIVE_INFINITY);
    if (!visible) throw chatErrors.NOT_ALLOWED({ message: "There is no such message." });
    if (content.reaction) return;
    const own = entry.author === userId;
    const admin = (this.#state.members.get(userId)?.role ?? Role.MEMBER) !== Role.MEMBER;
    if (content.edit && !(own && entry.content?.text)) throw chatErrors.NOT_ALLOWED();
    if (content.edit && !isEditable(this.#state, target)) {
      throw chatErrors.NOT_ALLOWED({ message: "The message was deleted, or is too old to be edited." });
    }
    if (content.deletion && !own && !admin) throw chatErrors.NOT_ALLOWED();
  }

  #notAMember(): Error {
    return !this.#state.direct && this.#state.lastId === 0 ? chatErrors.NO_SUCH_CHANNEL() : chatErrors.NOT_A_MEMBER();
  }

  // ---- internal services

  /** (C2) holds for services too: producer and number of the system, whose user id is 0. */
  async announce({ producer, number, text }: AnnounceRequest, { traceparent }: Turn): Promise<Later<PostReply>> {
    if (this.#state.lastId === 0) throw chatErrors.NO_SUCH_CHANNEL();
    checkContent({ text: { text, replyTo: 0 } }, this.#ports.settings);
    const content: Content = { system: { text } };
    const kept = this.#alreadyKept(SYSTEM, producer, number, content);
    if (kept !== undefined) return kept;
    await this.#context.wakeOnFailover();
    return this.#append(SYSTEM, producer, number, content, traceparent);
  }

  async follow({ follower, leaseMs }: FollowRequest): Promise<FollowReply> {
    // A follower names itself: nobody who is no service may be told of a channel for having been named.
    if (!isServiceId(follower)) throw chatErrors.NOT_ALLOWED({ message: "Only an internal service can follow." });
    const lastId = this.#log.settled; // before the verify: what settles meanwhile is told
    const granted = this.#followers.add(follower, leaseMs);
    await this.#context.verify();
    return { lastId, leaseMs: granted };
  }

  unfollow({ follower }: UnfollowNotice): void {
    this.#followers.remove(follower);
  }

  // ---- members

  async create(request: CreateRequest, { traceparent }: Turn): Promise<Later<PostReply>> {
    const { userId, producer, number, title, memberIds, historyVisible } = request;
    if (this.#state.direct) throw chatErrors.NOT_ALLOWED();
    const { createdBy } = this.#state;
    if (createdBy !== undefined) {
      if (createdBy.producer !== producer || createdBy.number !== number) throw chatErrors.ALREADY_EXISTS();
      return this.#whenSettled(1, this.#state.lastTimeMs);
    }
    const others = [...new Set(memberIds)].filter((memberId) => memberId !== userId);
    if (others.length + 1 > this.#ports.settings.groupMembersMax) throw chatErrors.GROUP_FULL();
    const members = [
      { userId, role: Role.OWNER as Role },
      ...others.map((id) => ({ userId: id, role: Role.MEMBER as Role })),
    ];
    await this.#context.wakeOnFailover();
    const membership: Membership = { change: MembershipChange.CREATED, members, title, historyVisible };
    return this.#append(userId, producer, number, { membership }, traceparent);
  }

  async change({ userId, membership }: ChangeRequest, { traceparent }: Turn): Promise<Later<PostReply>> {
    if (!this.#state.members.has(userId)) throw this.#notAMember();
    const effective = checkChange(this.#state, userId, membership, this.#ports.settings.groupMembersMax);
    if (effective === undefined) return this.#whenSettled(this.#log.tail, this.#state.lastTimeMs); // it is so already
    await this.#context.wakeOnFailover();
    return this.#append(userId, 0, 0, { membership: effective }, traceparent);
  }

  // ---- reading

  async history({ userId, history }: HistoryRequest): Promise<HistoryReply> {
    const member = userId === SYSTEM ? theHouse : this.#state.members.get(userId);
    if (member === undefined || !history) throw this.#notAMember();
    const lastId = this.#log.settled;
    const verified = this.#context.verify();
    const ranges = historyRange(history, member.visibleFrom, lastId, this.#ports.settings);
    const read = ranges.map((range) => this.#ports.logs.read(this.#context.id, range));
    const [parts] = await Promise.all([Promise.all(read), verified]);
    // Removed while the store was read: the border holds for this reader too.
    if (userId !== SYSTEM && !this.#state.members.has(userId)) throw this.#notAMember();
    const rows = parts.flat().sort((a, b) => a.id - b.id);
    return { entries: rows.map((row) => row.record), firstVisibleId: member.visibleFrom, lastId };
  }

  async describe({ userId }: DescribeRequest): Promise<DescribeReply> {
    if (userId !== 0 && !this.#state.members.has(userId)) throw this.#notAMember();
    await this.#context.verify();
    return {
      title: this.#state.title,
      lastId: this.#log.settled,
      ordinal: this.#state.ordinal,
      members: [...this.#state.members.values()],
    };
  }

  async why({ messageId }: WhyRequest): Promise<WhyReply> {
    const settledId = this.#log.settled;
    const range = { from: messageId, to: messageId, rowsMax: 1, bytesMax: 1 };
    const rows = messageId > 0 && messageId <= settledId ? await this.#ports.logs.read(this.#context.id, range) : [];
    const { book } = this.#fanOut;
    return {
      entry: rows[0]?.record ?? new Uint8Array(0),
      settledId,
      fannedOutId: book.confirmedThrough,
      members: [...this.#state.members.keys()].map((userId) => ({ userId, confirmedId: book.confirmedBy(userId) })),
    };
  }

  // ---- what passes through and is not kept

  receipt({ userId, deliveredId, readId }: ReceiptNotice): void {
    if (!this.#state.members.has(userId)) return;
    this.#receipts.add(userId, deliveredId, readId);
  }

  typing({ userId, typing }: TypingChange): void {
    if (!this.#state.members.has(userId)) return;
    if (this.#log.settled === 0) return; // anybody can name a 1:1 with anybody: it has begun with its first message
    const others = this.#audience.recipients.filter((recipient) => recipient.userId !== userId).map(({ key }) => key);
    const frame = typingFrame(this.#context.id, userId, typing);
    this.#ports.users.many(others).signal({ frame, shed: Shed.TYPING });
  }

  // ---- progress

  confirm({ userIds, throughIds }: ConfirmNotice): void {
    this.#fanOut.confirm(userIds, throughIds);
  }

  #onSettled(through: number): void {
    let acked = 0;
    for (; acked < this.#waiting.length; acked++) {
      const { id, timeMs, later, span } = this.#waiting[acked] as Waiting;
      if (id > through) break;
      span?.end();
      later.resolve({ messageId: id, timeMs });
    }
    if (acked > 0) this.#waiting = this.#waiting.slice(acked);
    this.#fanOut.release(through);
    this.#progressed();
  }

  #progressed(): void {
    const finished = !this.#log.busy && this.#log.settled === this.#log.tail && this.#fanOut.complete;
    this.#context.setUnfinished(!finished);
    if (this.#pendingSnapshot !== undefined) this.#writeSnapshot();
    if (!this.#log.busy) this.#quiet?.();
  }

  // ---- snapshots

  #considerSnapshot(): void {
    const { snapshotEntries, snapshotBytes } = this.#ports.settings;
    const due = this.#state.lastId - this.#snapshotAt >= snapshotEntries || this.#bytesSinceSnapshot >= snapshotBytes;
    if (!due || this.#pendingSnapshot !== undefined) return;
    this.#pendingSnapshot = { id: this.#state.lastId, value: encodeSnapshot(this.#state) };
    this.#snapshotAt = this.#state.lastId;
    this.#bytesSinceSnapshot = 0;
  }

  /** (C4) A snapshot that cannot be written now is only a longer replay. */
  #writeSnapshot(): void {
    const pending = this.#pendingSnapshot;
    const { confirmedThrough } = this.#fanOut.book;
    if (pending === undefined || pending.id > confirmedThrough) return;
    this.#pendingSnapshot = undefined;
    void this.#ports.registers
      .write(snapshotWrites(this.#context.id, pending, confirmedThrough))
      .catch(() => undefined);
  }

  // ---- lifecycle

  canPassivate(): boolean {
    const finished = !this.#log.busy && this.#log.settled === this.#log.tail && this.#fanOut.complete;
    return finished && this.#followers.count === 0;
  }

  mailLost(isAffected: (actorId: string) => boolean): void {
    this.#fanOut.sendAgainTo(isAffected);
  }

  async deactivate(): Promise<void> {
    this.#receipts.flush();
    this.#fanOut.stop();
    while (this.#log.busy) {
      await new Promise<void>((resolve) => {
        this.#quiet = resolve;
      });
    }
    const { lastId } = this.#state;
    try {
      if (lastId > 0 && lastId === this.#log.settled) await this.#ports.registers.write(this.#farewell(lastId));
    } finally {
      this.#log.close();
    }
  }

  /** (C4) Where the fan-out goes on elsewhere, the next owner is spared at least to write again what is settled. */
  #farewell(lastId: number): readonly RegisterWrite[] {
    const { id: channelId } = this.#context;
    if (!this.#fanOut.complete) return [settledWrite(channelId, lastId)];
    const snapshot = { id: lastId, value: encodeSnapshot(this.#state) };
    return snapshotWrites(channelId, snapshot, this.#fanOut.book.confirmedThrough);
  }

  lost(): void {
    this.#receipts.stop();
    this.#fanOut.stop();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { later, span } of waiting) {
      const error = runtimeErrors.SHARD_LOST();
      span?.end(error);
      later.reject(error);
    }
    this.#quiet?.();
    this.#log.close();
  }
}
