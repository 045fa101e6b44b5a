// A server in memory for one person, who is user 1: it speaks frames, keeps logs by the rules of the contract, and a test can
// get between it and the client. Frames are encoded and decoded on their way, as on a real line.

import {
  ClientFrame,
  type Content,
  type Entry,
  ErrorCode,
  Executed,
  GoAwayReason,
  HistoryDirection,
  type Send,
  ServerFrame,
} from "../../proto/client.ts";
import { sameContent } from "../content.ts";
import type { Fetch, SocketEvents, WebSocketFactory } from "../ports.ts";

type Body = Omit<ServerFrame, "request" | "body">;

export class FakeConnection {
  readonly received: ClientFrame[] = [];
  readonly #events: SocketEvents;
  closed = false;

  constructor(events: SocketEvents) {
    this.#events = events;
  }

  say(body: Body, request = 0): void {
    if (!this.closed) this.#events.message(ServerFrame.encode({ request, ...body }).finish());
  }

  /** The line breaks. */
  cut(): void {
    if (this.closed) return;
    this.closed = true;
    this.#events.closed("cut");
  }
}

const ME = 1;
const OTHER = 2;
const NEWEST_MAX = 3;
const unread = { readId: 0, readOrdinal: 0 };

export class FakeServer {
  readonly connections: FakeConnection[] = [];
  readonly logs = new Map<string, Entry[]>();
  readonly requests: string[] = [];
  /** Version of each channel's pointer, and of the inbox. */
  readonly versions = new Map<string, number>();
  version = 0;
  /** False: nobody listens. */
  up = true;
  /** What the HTTP API answers instead, by "METHOD /path". */
  readonly replies = new Map<string, () => { status: number; body: unknown }>();
  /** True: the test has dealt with the frame. */
  intercept: (frame: ClientFrame, connection: FakeConnection) => boolean = () => false;
  /** Pushes of what is appended. */
  pushes = true;
  fullSync = false;
  textCharactersMax = 100_000;
  /** Pointers tell of so many entries less than the log has. */
  pointersBehind = 0;

  readonly fetch: Fetch = async (url, { method }) => {
    const path = new URL(url).pathname;
    this.requests.push(`${method} ${path}`);
    if (!this.up) throw new Error("refused");
    const reply = this.replies.get(`${method} ${path}`)?.() ?? this.#reply(path);
    return { status: reply.status, text: async () => (reply.body === undefined ? "" : JSON.stringify(reply.body)) };
  };

  readonly webSocket: WebSocketFactory = (_url, events) => {
    const connection = new FakeConnection(events);
    queueMicrotask(() => {
      if (!this.up) return connection.cut();
      this.connections.push(connection);
      events.opened();
    });
    return {
      send: (bytes) => {
        if (!connection.closed) this.#receive(ClientFrame.decode(bytes.slice()), connection);
      },
      close: () => connection.cut(),
    };
  };

  get connection(): FakeConnection {
    const newest = this.connections.at(-1);
    if (newest === undefined) throw new Error("nobody is connected");
    return newest;
  }

  /** All sends that came, over all connections. */
  get sends(): Send[] {
    return this.connections.flatMap(({ received }) => received.flatMap(({ send }) => (send ? [send] : [])));
  }

  log(channelId: string): Entry[] {
    let log = this.logs.get(channelId);
    if (log === undefined) {
      log = [];
      this.logs.set(channelId, log);
    }
    return log;
  }

  texts(channelId: string): string[] {
    return this.log(channelId).map(({ content }) => content?.text?.text ?? "");
  }

  /** Somebody else writes. */
  write(channelId: string, ...texts: string[]): void {
    for (const text of texts) this.append(channelId, OTHER, 0, 0, { text: { text, replyTo: 0 } });
  }

  /** And the pushes of it are lost on their way. */
  lose(channelId: string, ...texts: string[]): void {
    this.pushes = false;
    this.write(channelId, ...texts);
    this.pushes = true;
  }

  append(channelId: string, author: number, producer: number, number: number, content: Content): Entry {
    const log = this.log(channelId);
    const messageId = log.length + 1;
    const entry = { messageId, author, producer, number, timeMs: messageId, ordinal: messageId, settled: 0, content };
    log.push(entry);
    const prev = this.version;
    this.version += 1;
    this.versions.set(channelId, this.version);
    const { version } = this;
    if (this.pushes)
      this.connections.at(-1)?.say({ delivery: { ...unread, prev, version, channelId, entries: [entry] } });
    return entry;
  }

  goAway(reason: GoAwayReason = GoAwayReason.SHUTDOWN, reconnectWithinMs = 0, to = ""): void {
    const { connection } = this;
    connection.say({ goAway: { reason, reconnectWithinMs, to } });
    connection.cut();
  }

  #reply(path: string): { status: number; body: unknown } {
    if (path === "/v1/tickets") return { status: 201, body: { ticket: "t", expiresInS: 60, url: "ws://fake/" } };
    const tokens = { accessToken: "a", accessExpiresInS: 900, refreshToken: "r", refreshExpiresInS: 9_000 };
    if (path.startsWith("/v1/sessions")) return { status: 201, body: { userId: ME, deviceId: 7, ...tokens } };
    return { status: 404, body: { error: { code: "NO_SUCH_USER", message: path, retryable: false, executed: "no" } } };
  }

  #receive(frame: ClientFrame, connection: FakeConnection): void {
    connection.received.push(frame);
    // The answer takes its way: never within the call that asked.
    queueMicrotask(() => {
      if (!connection.closed && !this.intercept(frame, connection)) this.answer(frame, connection);
    });
  }

  answer(frame: ClientFrame, connection: FakeConnection): void {
    const { request, hello, sync, send, history, heartbeat, ack, read, presenceWatch } = frame;
    if (hello) {
      const times = { heartbeatMs: 5_000, offlineAfterMs: 30_000, serverTimeMs: 0 };
      const limits = { textCharactersMax: this.textCharactersMax, frameBytesMax: 524_288 };
      const ids = { userId: ME, deviceId: 7, sessionId: this.connections.length };
      connection.say({ welcome: { ...ids, ...times, ...limits, fullSync: this.fullSync } }, request);
      this.feed(this.fullSync ? 0 : hello.cursor, connection, request);
    } else if (sync) this.feed(sync.cursor, connection, request);
    else if (send) connection.say(this.post(send), request);
    else if (history) connection.say({ page: this.#page(history.channelId, history) }, request);
    else if (heartbeat) connection.say({ heartbeat: { active: false } });
    else if (presenceWatch) connection.say({ presences: { presences: [] } }, request);
    else if (ack || read) connection.say({ done: {} }, request);
  }

  feed(cursor: number, connection: FakeConnection, request: number): void {
    for (const [channelId, version] of this.versions) {
      if (version <= cursor) continue;
      const log = this.log(channelId).slice(0, this.log(channelId).length - this.pointersBehind);
      const last = log.at(-1);
      const marks = { readId: 0, readOrdinal: 0, deliveredId: 0, left: false };
      const newest = log.slice(-NEWEST_MAX);
      const ends = { lastId: last?.messageId ?? 0, ordinal: last?.ordinal ?? 0 };
      connection.say({ pointer: { channelId, version, ...ends, ...marks, newest } });
    }
    connection.say({ caughtUp: { cursor: this.version } }, request);
  }

  /** As the channel does: last + 1 is taken, lower ones are answered with what was kept, higher ones are refused. */
  post({ channelId, producer, number, content }: Send): Body {
    const own = this.log(channelId).filter((entry) => entry.author === ME && entry.producer === producer);
    const kept = own.find((entry) => entry.number === number);
    if (kept && !sameContent(kept.content, content)) return refusal(ErrorCode.NUMBER_REUSED);
    if (kept) return { sent: { channelId, messageId: kept.messageId, timeMs: kept.timeMs } };
    const expectedNumber = (own.at(-1)?.number ?? 0) + 1;
    if (number !== expectedNumber) return refusal(ErrorCode.OUT_OF_ORDER, { retryable: true, expectedNumber });
    const { messageId, timeMs } = this.append(channelId, ME, producer, number, content ?? {});
    return { sent: { channelId, messageId, timeMs } };
  }

  #page(channelId: string, { anchor, direction, limit }: { anchor: number; direction: number; limit: number }) {
    const log = this.log(channelId);
    const after = direction === HistoryDirection.AFTER;
    const rows = after ? log.filter((e) => e.messageId > anchor) : log.filter((e) => !anchor || e.messageId < anchor);
    const entries = after ? rows.slice(0, limit) : rows.slice(-(limit || 50));
    return { channelId, entries, firstVisibleId: 1, lastId: log.length };
  }
}

export function refusal(
  code: ErrorCode,
  facts: { retryable?: boolean; executed?: Executed; expectedNumber?: number; retryAfterMs?: number } = {},
): Body {
  const { retryable = false, executed = Executed.NO, expectedNumber = 0, retryAfterMs = 0 } = facts;
  return { error: { code, message: "", retryable, executed, retryAfterMs, expectedNumber } };
}
