// A cluster as a service sees it, for tests: calls come in, answers go out, and the way between them can be cut. Time is a test
// clock's.

import {
  Batch,
  ChannelService,
  Entry,
  type Failure,
  type MethodDescriptor,
  SettledNotice,
  type Call as WireCall,
} from "../../proto/index.ts";
import { countingRandom, createTestClock, type TestClock } from "../testing/clock.ts";
import type { ConnectionEvents } from "./port.ts";
import { openService, type Service, type ServiceOptions } from "./service.ts";

const nothing = new Uint8Array(0);
const noPieces = { piece: nothing, piecesBefore: 0, piecesLeft: 0 };
const refused: Failure = { code: "", message: "", retryable: false, executed: 0, retryAfterMs: 0, detail: "" };

export type Answer = { readonly reply: object } | { readonly failure: Partial<Failure> } | "silence" | "nobody";

export interface FakeCluster {
  readonly clock: TestClock;
  readonly service: Service;
  /** Calls that arrived, as "Channel.announce d1.2". */
  readonly calls: WireCall[];
  readonly problems: string[];
  /** How calls are answered; silence until it is set. */
  answer: (call: WireCall) => Answer;
  cut(): void;
  heal(): void;
  /** From a node, as it is. */
  receive(batch: Batch, lane?: string): void;
  reply(call: WireCall, method: MethodDescriptor, message: object): void;
  settled(channelId: string, entries: readonly Entry[]): void;
}

const methods = ChannelService.methods as Readonly<Record<string, MethodDescriptor>>;

export function entry(messageId: number): Entry {
  const text = { text: `m${messageId}`, replyTo: 0 };
  return { messageId, author: 1, producer: 1, number: messageId, timeMs: 1, ordinal: 1, settled: 0, content: { text } };
}

export async function createFakeCluster(settings: ServiceOptions["settings"] = {}): Promise<FakeCluster> {
  const clock = createTestClock();
  const calls: WireCall[] = [];
  const problems: string[] = [];
  let events: ConnectionEvents | undefined;
  let connected = true;
  const say = (envelope: Batch["envelopes"][number]) =>
    world.receive({ protocol: 1, link: 0, envelopes: [envelope], ...noPieces });
  const take = (call: WireCall, number: number) => {
    calls.push(call);
    const answer = world.answer(call);
    if (answer === "silence") return;
    if (answer === "nobody") events?.onNotDelivered(number);
    else if ("failure" in answer) {
      say({ reply: { callId: call.callId, payload: nothing, failure: { ...refused, ...answer.failure } } });
    } else world.reply(call, methods[call.method] as MethodDescriptor, answer.reply);
  };
  const service = await openService(
    { cluster: "yard", name: "bot", settings, onProblem: ({ what }) => problems.push(what) },
    {
      clock,
      random: countingRandom(),
      connect: async () => ({
        get connected() {
          return connected;
        },
        messageBytesMax: 1_000_000,
        open(listener) {
          events = listener;
        },
        send(bytes, number) {
          if (!connected) return false;
          const call = Batch.decode(bytes).envelopes[0]?.call;
          if (call) void clock.after(1, () => connected && take(call, number));
          return true;
        },
        close: async () => undefined,
      }),
    },
  );
  const world: FakeCluster = {
    clock,
    service,
    calls,
    problems,
    answer: () => "silence",
    cut() {
      connected = false;
      events?.onConnected(false);
    },
    heal() {
      connected = true;
      events?.onConnected(true);
    },
    receive: (batch, lane = "3") => void (connected && events?.onBatch("a#1", lane, Batch.encode(batch).finish())),
    reply: (call, method, message) =>
      say({ reply: { callId: call.callId, payload: method.reply.encode(message).finish() } }),
    settled(channelId, entries) {
      const records = entries.map((each) => Entry.encode(each).finish());
      const notice = { channelId, firstId: entries[0]?.messageId ?? 0, entries: records };
      const payload = SettledNotice.encode(notice).finish();
      const rest = { callId: 0, from: "a#1", ids: [service.id], deadlineMs: 0, traceparent: "", hops: 0 };
      say({ call: { ...rest, service: "Follower", method: "settled", payload } });
    },
  };
  return world;
}

export interface FakeChannel {
  readonly log: Entry[];
  /** Whether the owner knows the follower: false after it has changed, until the next renewal. */
  followed: boolean;
  /** Settles one more entry, and tells of it if it is followed. */
  settle(options?: { readonly lose?: boolean }): void;
}

/** An owner that keeps one channel's log, and answers Follow and History. */
export function ownChannel(cluster: FakeCluster, channelId: string): FakeChannel {
  const channel: FakeChannel = {
    log: [],
    followed: false,
    settle({ lose = false } = {}) {
      const next = entry(channel.log.length + 1);
      channel.log.push(next);
      if (channel.followed && !lose) cluster.settled(channelId, [next]);
    },
  };
  cluster.answer = ({ method, payload }) => {
    const lastId = channel.log.length;
    if (method === "follow") {
      channel.followed = true;
      return { reply: { lastId, leaseMs: ChannelService.methods.follow.request.decode(payload).leaseMs } };
    }
    if (method === "unfollow") channel.followed = false;
    if (method !== "history") return "silence";
    const { history } = ChannelService.methods.history.request.decode(payload);
    const anchor = history?.anchor ?? 0;
    const page = channel.log.slice(anchor, anchor + (history?.limit ?? 0));
    return { reply: { entries: page.map((each) => Entry.encode(each).finish()), firstVisibleId: 1, lastId } };
  };
  return channel;
}
