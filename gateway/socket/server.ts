// The WebSocket endpoint: sockets in, sessions, beats, limits, and the way out for whatever the actors push.
//
// (G1) A frame is copied before it is read: what it holds lives as long as anybody wants it.
// (G2) A socket is authenticated by a single-use ticket in its first frame; before that it may send little and not for long.
// (G3) Every request is answered, or its socket is closed.
// (G4) What is counted up when a socket opens is counted down when it closes, once.

import uws from "uWebSockets.js";
import {
  type ClientFrame,
  GatewayService,
  GoAwayReason,
  type PushNotice,
  ServerFrame,
  SessionState,
} from "../../proto/index.ts";
import {
  type Clock,
  type Logger,
  type MadangError,
  type Node,
  pause,
  type Random,
  runtimeErrors,
  type Tracer,
  toMadangError,
} from "../../runtime/index.ts";
import { createUntold, errorReply, gatewayErrors, isOnWire } from "../errors.ts";
import type { ActorRefs } from "../refs.ts";
import type { GatewaySettings } from "../settings.ts";
import { readFrame } from "./frames.ts";
import { Outbox } from "./outbox.ts";
import { answer, checkId, pointerFrame } from "./requests.ts";
import { phases, type Session } from "./session.ts";
import { Wheel } from "./wheel.ts";

/** What a ticket says, once its signature and its time are checked. */
export interface TicketClaims {
  readonly userId: number;
  readonly deviceId: number;
  readonly loginId: string;
  readonly ticketId: string;
  readonly expiresMs: number;
}

/** What the edge tells clients and presence actors about time and size. */
export interface SessionRules {
  readonly heartbeatMs: number;
  readonly silentAfterMs: number;
  readonly offlineAfterMs: number;
  readonly textCharactersMax: number;
}

export interface SocketServerOptions {
  readonly node: Node;
  readonly refs: ActorRefs;
  readonly verifyTicket: (ticket: string) => Promise<TicketClaims>;
  /** Whether a log-in has not ended. Asked when a session is attached anew; if that fails, it is left at that. */
  readonly isOpen: (loginId: string) => Promise<boolean>;
  readonly settings: GatewaySettings;
  readonly tracer: Tracer;
  /** Address of another gateway, for clients that are sent away; empty if there is none. */
  readonly elsewhere: () => string;
  readonly rules: SessionRules;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface SocketServer {
  /** Port 0 takes a free one. */
  listen(host: string, port: number): Promise<{ readonly port: number }>;
  /** Sockets that are open, of which some are not authenticated yet. */
  readonly connections: number;
  stats(): SocketStats;
  /** Tells every session to go away, waits until what waits has left, and closes. */
  close(): Promise<void>;
}

export interface SocketStats {
  readonly connections: number;
  readonly sessions: number;
  readonly framesIn: number;
  readonly framesOut: number;
  readonly bytesOut: number;
  readonly writes: number;
  readonly refused: number;
  readonly fellBehind: number;
  readonly droppedPushes: number;
  readonly deadSockets: number;
}

export function createSocketServer(options: SocketServerOptions): SocketServer {
  return new Server(options);
}

const heartbeat = ServerFrame.encode({ request: 0, heartbeat: { active: false } }).finish();
/** Close code of the WebSocket protocol: going away. */
const GOING_AWAY = 1001;
/** Close code of the WebSocket protocol: policy violation. */
const REFUSED = 1008;
/** Above any version: asks for nothing when a session is attached anew. */
const CURSOR_NONE = Number.MAX_SAFE_INTEGER;

class Server implements SocketServer {
  readonly #options: SocketServerOptions;
  readonly #settings: GatewaySettings;
  readonly #clock: Clock;
  readonly #outbox: Outbox;
  readonly #wheel: Wheel<Session>;
  readonly #app: uws.TemplatedApp;
  /** By id; a session stands here from its socket's opening to its closing. */
  readonly #sessions = new Map<number, Session>();
  readonly #addresses = new Map<string, number>();
  readonly #origins: ReadonlySet<string>;
  readonly #untold: (error: MadangError) => void;
  #listening: uws.us_listen_socket | undefined;
  #lastSessionId = 0;
  #framesIn = 0;
  #refused = 0;
  #closing = false;

  constructor(options: SocketServerOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#clock = options.clock;
    this.#origins = new Set(options.settings.origins);
    this.#untold = createUntold(options.log, isOnWire);
    this.#outbox = new Outbox(options.clock, options.settings);
    this.#wheel = new Wheel(options.clock, (session) => this.#look(session));
    options.node.serve(GatewayService, {
      push: (notice, traceparent) => this.#push(notice, traceparent),
      tell: ({ sessionId, frame, shed: _ }) => this.#tell(sessionId, frame),
      close: ({ sessionId, reason }) => this.#goAway(sessionId, reason),
      reattach: ({ sessionId, epoch }) => {
        const session = this.#sessions.get(sessionId);
        if (session !== undefined && session.epoch <= epoch) void this.#reattach(session);
      },
    });
    options.node.onMailLost((isAffected) => void this.#mailLost(isAffected));
    this.#app = uws.App();
    this.#app.ws<Session>("/*", {
      compression: uws.DISABLED,
      maxPayloadLength: options.settings.cutBytesMax,
      maxBackpressure: options.settings.backpressureBytesMax,
      idleTimeout: 0, // every byte would reset it: the wheel watches for complete frames instead
      sendPingsAutomatically: false,
      upgrade: (response, request, context) => this.#upgrade(response, request, context),
      open: (socket) => this.#opened(socket),
      message: (socket, message, isBinary) => this.#message(socket.getUserData(), message, isBinary),
      drain: (socket) => this.#outbox.drained(socket.getUserData()),
      close: (socket) => this.#closed(socket.getUserData()),
    });
    this.#app.any("/*", (response) => void response.writeStatus("426 Upgrade Required").end("WebSocket only"));
  }

  // ---- sockets

  #upgrade(response: uws.HttpResponse, request: uws.HttpRequest, context: uws.us_socket_context_t): void {
    const origin = request.getHeader("origin");
    const address = Buffer.from(response.getRemoteAddressAsText()).toString();
    const refuse = (status: string, error: MadangError) => {
      this.#refused += 1;
      response
        .writeStatus(status)
        .writeHeader("content-type", "application/json")
        .end(JSON.stringify({ error: error.code }));
    };
    if (this.#closing) return refuse("503 Service Unavailable", runtimeErrors.SHUTTING_DOWN());
    if (origin !== "" && !this.#origins.has(origin)) return refuse("403 Forbidden", gatewayErrors.ORIGIN_REFUSED());
    const sameAddress = this.#addresses.get(address) ?? 0;
    if (this.#sessions.size >= this.#settings.connectionsMax || sameAddress >= this.#settings.connectionsAnAddressMax) {
      return refuse("503 Service Unavailable", gatewayErrors.TOO_MANY_CONNECTIONS());
    }
    const nowMs = this.#clock.monotonicMs();
    const session: Session = {
      id: ++this.#lastSessionId,
      address,
      socket: undefined,
      phase: phases.new,
      identity: undefined,
      epoch: 0,
      attachment: "idle",
      pending: undefined,
      requestsInFlight: 0,
      tokens: this.#settings.framesBurst,
      tokensAtMs: nowMs,
      lastFrameMs: nowMs,
      lastReportMs: nowMs,
      silent: false,
      loggedOut: false,
      watching: false,
    };
    response.upgrade(
      session,
      request.getHeader("sec-websocket-key"),
      request.getHeader("sec-websocket-protocol"),
      request.getHeader("sec-websocket-extensions"),
      context,
    );
  }

  #opened(socket: uws.WebSocket<Session>): void {
    const session = socket.getUserData();
    session.socket = socket;
    this.#sessions.set(session.id, session);
    this.#addresses.set(session.address, (this.#addresses.get(session.address) ?? 0) + 1);
    this.#wheel.add(session, this.#settings.helloWithinMs);
  }

  /** (G4) Called by the library exactly once for each socket that was opened. */
  #closed(session: Session): void {
    session.socket = undefined;
    session.pending = undefined;
    session.phase = phases.closed;
    this.#sessions.delete(session.id);
    const left = (this.#addresses.get(session.address) ?? 1) - 1;
    if (left === 0) this.#addresses.delete(session.address);
    else this.#addresses.set(session.address, left);
    if (session.identity === undefined) return;
    const { refs, node } = this.#options;
    refs.user(String(session.identity.userId)).detach({ gateway: node.nodeId, sessionId: session.id });
    this.#report(session, session.loggedOut ? SessionState.LOGGED_OUT : SessionState.SILENT);
  }

  // ---- beats

  /** Milliseconds until the session is to be looked at again; 0 when it is over. */
  #look(session: Session): number {
    if (session.socket === undefined) return 0;
    const nowMs = this.#clock.monotonicMs();
    const quietMs = nowMs - session.lastFrameMs;
    const limitMs = session.identity === undefined ? this.#settings.helloWithinMs : this.#settings.frameWithinMs;
    if (quietMs >= limitMs) {
      this.#refuse(session, gatewayErrors.FRAME_TOO_SLOW());
      return 0;
    }
    if (session.identity === undefined) return limitMs - quietMs;
    const { silentAfterMs } = this.#options.rules;
    if (quietMs >= silentAfterMs) {
      if (!session.silent) this.#report(session, SessionState.SILENT);
      session.silent = true;
      return limitMs - quietMs;
    }
    if (nowMs - session.lastReportMs >= this.#settings.reportEveryMs) this.#report(session, SessionState.ALIVE);
    return silentAfterMs - quietMs;
  }

  #report(session: Session, state: SessionState): void {
    if (session.identity === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    session.lastReportMs = nowMs;
    this.#options.refs.presence(String(session.identity.userId)).report({
      gateway: this.#options.node.nodeId,
      sessionId: session.id,
      state,
      lastBeatAgoMs: Math.floor(nowMs - session.lastFrameMs),
    });
  }

  // ---- frames in

  #message(session: Session, message: ArrayBuffer, isBinary: boolean): void {
    this.#framesIn += 1;
    const limit =
      session.identity === undefined ? this.#settings.frameBytesBeforeHelloMax : this.#settings.frameBytesMax;
    if (message.byteLength > limit) return this.#refuse(session, gatewayErrors.FRAME_TOO_LARGE());
    if (!isBinary) return this.#refuse(session, gatewayErrors.BAD_FRAME({ message: "Frames are binary." }));
    let frame: ClientFrame;
    try {
      frame = readFrame(message, this.#settings.unknownFieldsMax); // (G1)
    } catch {
      return this.#refuse(session, gatewayErrors.BAD_FRAME());
    }
    const nowMs = this.#clock.monotonicMs();
    session.lastFrameMs = nowMs;
    if (session.silent) {
      session.silent = false;
      this.#report(session, SessionState.ALIVE);
      this.#wheel.add(session, this.#options.rules.silentAfterMs);
    }
    if (!this.#takeToken(session, nowMs)) {
      this.#fail(session, frame.request, gatewayErrors.TOO_MANY_REQUESTS({ retryAfterMs: 1_000 }));
    } else if (frame.hello) this.#hello(session, frame);
    else if (session.phase.name === "new" || session.phase.name === "attaching") {
      this.#refuse(session, gatewayErrors.HELLO_EXPECTED());
    } else if (frame.heartbeat) this.#outbox.answer(session, heartbeat);
    else if (frame.logOut) this.#logOut(session);
    else this.#ask(session, frame);
  }

  #takeToken(session: Session, nowMs: number): boolean {
    const { framesASecond, framesBurst } = this.#settings;
    const earned = ((nowMs - session.tokensAtMs) / 1_000) * framesASecond;
    session.tokens = Math.min(framesBurst, session.tokens + earned) - 1;
    session.tokensAtMs = nowMs;
    if (session.tokens >= 0) return true;
    session.tokens = 0;
    return false;
  }

  /** (G3) */
  #ask(session: Session, frame: ClientFrame): void {
    const { identity } = session;
    if (identity === undefined || session.phase.name === "closed") return;
    if (session.requestsInFlight >= this.#settings.requestsInFlightMax) {
      this.#fail(session, frame.request, gatewayErrors.TOO_MANY_REQUESTS({ retryAfterMs: 100 }));
      return;
    }
    session.requestsInFlight += 1;
    const deadlineMs = this.#settings.requestDeadlineMs;
    const span = this.#options.tracer.start(`gateway.${frame.body}`, "", { "madang.user": identity.userId });
    const call = span === undefined ? { deadlineMs } : { deadlineMs, traceparent: span.traceparent };
    const asked = frame.sync
      ? this.#sync(session, frame.request, frame.sync.cursor)
      : answer(frame, identity, this.#options.refs, call).then((body) => {
          if (frame.request !== 0) {
            this.#outbox.answer(session, ServerFrame.encode({ request: frame.request, ...body }).finish());
          }
        });
    asked.then(
      () => {
        session.requestsInFlight -= 1;
        span?.end();
      },
      (thrown) => {
        session.requestsInFlight -= 1;
        const error = toMadangError(thrown);
        span?.end(error);
        this.#fail(session, frame.request, error);
      },
    );
  }

  /** Told even if nobody asked for an answer: an error that nobody sees helps nobody. */
  #fail(session: Session, request: number, error: MadangError): void {
    if (error.code === "INTERNAL") {
      this.#options.log.error({ session: session.id, error }, "a request failed");
    }
    this.#untold(error);
    this.#outbox.answer(session, ServerFrame.encode({ request, error: errorReply(error) }).finish());
  }

  /** The client broke the rules: it is told how, and the socket closes. */
  #refuse(session: Session, error: MadangError): void {
    this.#refused += 1;
    this.#fail(session, 0, error);
    this.#end(session, GoAwayReason.PROTOCOL, REFUSED);
  }

  // ---- hello and sync

  #hello(session: Session, frame: ClientFrame): void {
    const { hello } = frame;
    if (session.phase.name !== "new" || !hello) return this.#refuse(session, gatewayErrors.HELLO_EXPECTED());
    session.phase = { name: "attaching", held: [], overflowed: false, userId: 0 };
    this.#attach(session, frame.request, hello.ticket, hello.cursor).catch((thrown) => {
      this.#fail(session, frame.request, toMadangError(thrown));
      this.#end(session, GoAwayReason.PROTOCOL, REFUSED);
    });
  }

  async #attach(session: Session, request: number, ticket: string, cursor: number): Promise<void> {
    const { refs, node, verifyTicket, rules, clock } = this.#options;
    checkId(cursor);
    const { userId, deviceId, loginId, ticketId, expiresMs } = await verifyTicket(ticket); // (G2)
    if (session.socket === undefined) return;
    if (session.phase.name === "attaching") session.phase.userId = userId;
    const attach = { gateway: node.nodeId, sessionId: session.id, deviceId, loginId, cursor };
    const user = refs.user(String(userId));
    session.attachment = "running";
    const reply = await user.attach({ ...attach, ticketId, ticketExpiresMs: expiresMs });
    if (session.socket === undefined) {
      user.detach({ gateway: node.nodeId, sessionId: session.id });
      return;
    }
    session.identity = { userId, deviceId, loginId };
    session.epoch = reply.epoch;
    const welcome = {
      userId,
      deviceId,
      sessionId: session.id,
      heartbeatMs: rules.heartbeatMs,
      offlineAfterMs: rules.offlineAfterMs,
      textCharactersMax: rules.textCharactersMax,
      frameBytesMax: this.#settings.frameBytesMax,
      serverTimeMs: clock.wallMs(),
      fullSync: reply.fullSync,
    };
    this.#outbox.answer(session, ServerFrame.encode({ request, welcome }).finish());
    const { phase } = session;
    session.phase = phases.open;
    await this.#feedSync(session, request, reply);
    if (phase.name === "attaching") {
      for (const notice of phase.held) this.#outbox.push(session, notice);
      if (phase.overflowed) this.#outbox.tellToSync(session);
    }
    this.#report(session, SessionState.ALIVE);
    this.#attached(session);
  }

  async #sync(session: Session, request: number, cursor: number): Promise<void> {
    const user = this.#options.refs.user(String(session.identity?.userId));
    const at = { gateway: this.#options.node.nodeId, sessionId: session.id };
    checkId(cursor);
    this.#outbox.resume(session); // before the user actor answers: what it pushes afterwards is fed
    const reply = await user.sync({ ...at, cursor });
    session.epoch = Math.max(session.epoch, reply.epoch);
    await this.#feedSync(session, request, reply);
  }

  /** Pointers page by page, then that this was all. */
  async #feedSync(
    session: Session,
    request: number,
    first: Awaited<ReturnType<ReturnType<ActorRefs["user"]>["sync"]>>,
  ) {
    const user = this.#options.refs.user(String(session.identity?.userId));
    const at = { gateway: this.#options.node.nodeId, sessionId: session.id };
    let reply = first;
    for (;;) {
      for (const pointer of reply.pointers) this.#outbox.frame(session, pointerFrame(pointer));
      this.#outbox.flushOne(session);
      if (!reply.more || session.socket === undefined) break;
      while (session.socket !== undefined && session.socket.getBufferedAmount() > this.#settings.highWaterBytes) {
        await pause(this.#clock, FEED_PAUSE_MS);
      }
      reply = await user.sync({ ...at, cursor: reply.cursor });
    }
    this.#outbox.answer(session, ServerFrame.encode({ request, caughtUp: { cursor: reply.cursor } }).finish());
  }

  /** The user's actor has left its node, or was lost: attach where it is now; what was pushed between is synced. */
  async #reattach(session: Session): Promise<void> {
    if (session.attachment !== "idle") {
      session.attachment = "again";
      return;
    }
    if (session.identity === undefined || this.#closing) return;
    const { userId, deviceId, loginId } = session.identity;
    const { refs, node, log } = this.#options;
    const attach = { gateway: node.nodeId, sessionId: session.id, deviceId, loginId, cursor: CURSOR_NONE };
    session.attachment = "running";
    try {
      const { epoch } = await refs.user(String(userId)).attach({ ...attach, ticketId: "", ticketExpiresMs: 0 });
      session.epoch = epoch;
      this.#outbox.tellToSync(session);
      this.#report(session, session.silent ? SessionState.SILENT : SessionState.ALIVE); // its presence may have moved too
      this.#attached(session);
      void this.#endIfLoggedOut(session.id, loginId);
    } catch (thrown) {
      session.attachment = "idle";
      const error = toMadangError(thrown);
      if (error.code === "UNAUTHENTICATED") return this.#goAway(session.id, GoAwayReason.SESSION_ENDED);
      log.warn({ session: session.id, error }, "a session could not be attached anew");
      this.#end(session, GoAwayReason.SHUTDOWN, GOING_AWAY);
    }
  }

  /** A log-out is told by the user's actor, and what one actor was about to tell the next one does not know. */
  async #endIfLoggedOut(sessionId: number, loginId: string): Promise<void> {
    try {
      if (!(await this.#options.isOpen(loginId))) this.#goAway(sessionId, GoAwayReason.SESSION_ENDED);
    } catch (error) {
      this.#options.log.debug({ session: sessionId, error }, "whether a log-in has ended could not be asked");
    }
  }

  /** Its actor may have moved on, or its pushes been lost, while it was attached. */
  #attached(session: Session): void {
    const { node } = this.#options;
    const stale = session.epoch < node.epochOf(String(session.identity?.userId));
    const again = session.attachment === "again" || stale;
    session.attachment = "idle";
    if (again && session.socket !== undefined) void this.#reattach(session);
  }

  /** In waves: a whole node may have gone, and the others have to take its users in. */
  async #mailLost(isAffected: (actorId: string) => boolean): Promise<void> {
    let inWave = 0;
    for (const session of [...this.#sessions.values()]) {
      const userId =
        session.identity?.userId ?? (session.phase.name === "attaching" ? session.phase.userId : undefined);
      if (userId === undefined || session.socket === undefined || !isAffected(String(userId))) continue;
      // While it is being attached, a new owner shows by its epoch; what is lost of the present one shows nowhere else.
      const moved = this.#options.node.epochOf(String(userId)) > session.epoch;
      if (session.attachment === "idle" || !moved) void this.#reattach(session);
      inWave += 1;
      if (inWave % this.#settings.closeWaveSessions === 0) await pause(this.#clock, CLOSE_WAVE_PAUSE_MS);
    }
  }

  // ---- from the actors

  #push(notice: PushNotice, traceparent: string): void {
    const session = this.#sessions.get(notice.sessionId);
    if (session === undefined || notice.epoch < session.epoch) return;
    this.#outbox.push(session, notice);
    if (traceparent === "") return;
    const span = this.#options.tracer.start("gateway.push", traceparent, { "madang.session": session.id });
    // What was put into the outbox in this tick is written before what is asked for after it.
    this.#clock.soon(() => span?.end());
  }

  #tell(sessionId: number, frame: Uint8Array): void {
    const session = this.#sessions.get(sessionId);
    // Who is behind needs nothing that is not kept.
    if (session?.phase.name === "open") this.#outbox.frame(session, frame);
  }

  #goAway(sessionId: number, reason: GoAwayReason): void {
    const session = this.#sessions.get(sessionId);
    if (session === undefined) return;
    session.loggedOut = reason === GoAwayReason.SESSION_ENDED;
    this.#end(session, reason, GOING_AWAY);
  }

  #logOut(session: Session): void {
    session.loggedOut = true;
    this.#end(session, GoAwayReason.SESSION_ENDED, GOING_AWAY);
  }

  /** Says go away, writes what waits, and closes. */
  #end(session: Session, reason: GoAwayReason, code: number): void {
    if (session.socket === undefined || session.phase.name === "closed") return;
    const reconnectWithinMs =
      reason === GoAwayReason.SHUTDOWN ? Math.floor(this.#options.random.next() * this.#settings.goAwayWithinMs) : 0;
    const to = reason === GoAwayReason.SHUTDOWN ? this.#options.elsewhere() : "";
    const goAway = { reason, reconnectWithinMs, to };
    this.#outbox.frame(session, ServerFrame.encode({ request: 0, goAway }).finish());
    this.#outbox.flushOne(session);
    session.phase = phases.closed;
    session.socket?.end(code);
  }

  // ---- life

  listen(host: string, port: number): Promise<{ readonly port: number }> {
    return new Promise((resolve, reject) => {
      this.#app.listen(host, port, (socket) => {
        if (!socket) return reject(new Error(`the WebSocket address ${host}:${port} is taken`));
        this.#listening = socket;
        resolve({ port: uws.us_socket_local_port(socket) });
      });
    });
  }

  get connections(): number {
    return this.#sessions.size;
  }

  stats(): SocketStats {
    const { frames, bytes, writes, fellBehind, droppedPushes, deadSockets } = this.#outbox.stats;
    let sessions = 0;
    for (const session of this.#sessions.values()) if (session.identity !== undefined) sessions += 1;
    return {
      connections: this.#sessions.size,
      sessions,
      framesIn: this.#framesIn,
      framesOut: frames,
      bytesOut: bytes,
      writes,
      refused: this.#refused,
      fellBehind,
      droppedPushes,
      deadSockets,
    };
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#listening !== undefined) uws.us_listen_socket_close(this.#listening);
    let inWave = 0;
    for (const session of [...this.#sessions.values()]) {
      this.#end(session, GoAwayReason.SHUTDOWN, GOING_AWAY);
      inWave += 1;
      if (inWave % this.#settings.closeWaveSessions === 0) await pause(this.#clock, CLOSE_WAVE_PAUSE_MS);
    }
    // Peers answer the closing hand-shake; those that do not are cut.
    for (let waits = 0; this.#sessions.size > 0 && waits < CLOSE_WAITS; waits++)
      await pause(this.#clock, CLOSE_WAVE_PAUSE_MS);
    this.#wheel.stop();
    this.#app.close();
  }
}

/** While a slow reader takes one page of its sync. */
const FEED_PAUSE_MS = 20;
const CLOSE_WAVE_PAUSE_MS = 20;
const CLOSE_WAITS = 50;
