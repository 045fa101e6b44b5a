// The SDK's front: assembles the parts and gives applications one object.

import { directChannelId, type Presence, type Welcome } from "../proto/client.ts";
import { type Channel, createChannel } from "./channel.ts";
import type { Answer } from "./connection.ts";
import { Core } from "./core.ts";
import { Cursor } from "./cursor.ts";
import { clientError, fromReply } from "./errors.ts";
import { Emitter, type Listener } from "./events.ts";
import { Http } from "./http.ts";
import { Inbox } from "./inbox.ts";
import { Link } from "./link.ts";
import { type GroupOptions, People, type Profile } from "./people.ts";
import {
  browserWebSocket,
  type Clock,
  type Fetch,
  type Random,
  randomProducer,
  systemClock,
  systemFetch,
  systemRandom,
  type WebSocketFactory,
} from "./ports.ts";
import {
  type ChannelRecord,
  type DeviceRecord,
  decodeItem,
  decodeJson,
  encodeJson,
  type LogInRecord,
  recordKeys,
} from "./records.ts";
import { Sender } from "./sender.ts";
import { type ClientSettings, clientDefaults } from "./settings.ts";
import { Keeper } from "./store/keeper.ts";
import type { ClientStore } from "./store/port.ts";
import type { ClientEvents, ClientState, PendingSend } from "./types.ts";
import { Watermarks } from "./watermarks.ts";

export interface ClientOptions {
  /** Address of the HTTP API, such as "https://chat.example". */
  readonly url: string;
  /** Where log-in, cursor and outbox are kept. One client at a time uses a store. */
  readonly store: ClientStore;
  /** Name and version of the application, for the server's logs; at most 64 bytes. */
  readonly application?: string;
  readonly webSocket?: WebSocketFactory;
  readonly fetch?: Fetch;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly settings?: Partial<ClientSettings>;
}

export interface Credentials {
  readonly name: string;
  readonly password: string;
  /** How this device is listed; default: the application's name. */
  readonly deviceName?: string;
}

export interface Client {
  readonly state: ClientState;
  /** Who is logged in. */
  readonly userId: number | undefined;
  readonly deviceId: number | undefined;
  /** All channels that this device knows of, in no order that means anything. */
  readonly channels: readonly Channel[];
  /** All sends that wait for their acknowledgement, also those of former runs. */
  readonly outbox: readonly PendingSend[];
  readonly people: People;

  /** Subscribes; the returned function ends it. */
  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): () => void;
  /** Makes an account. Does not log in. Rejects with ALREADY_EXISTS when the name is taken. */
  signUp(account: {
    readonly name: string;
    readonly password: string;
    readonly displayName?: string;
  }): Promise<Profile>;
  /** Logs in and connects. A store serves one person: another one is refused with STORE_OF_ANOTHER. */
  logIn(credentials: Credentials): Promise<void>;
  /** Connects with the log-in that the store has. Rejects with NOT_LOGGED_IN if there is none. */
  connect(): Promise<void>;
  /** Ends the connection; stays logged in. */
  disconnect(): void;
  /** Ends the log-in, here at once and on the server when it can be reached. Unacknowledged sends stay in the store. */
  logOut(): Promise<void>;
  /** Resolves when everything that was kept before is here; rejects with LOGGED_OUT or CLOSED when that cannot be. */
  online(): Promise<void>;
  channel(channelId: string): Channel;
  directChannelId(otherUserId: number): string;
  /** The 1:1 with another person. It comes into being with its first message. */
  direct(otherUserId: number): Channel;
  createGroup(group: GroupOptions): Promise<Channel>;
  /** Turns `presence` events of friends on or off; told again after each reconnection. */
  watchPresence(on: boolean): Promise<readonly Presence[]>;
  /** Whether the person is using the device; goes with the heart-beat. */
  setActive(active: boolean): void;
  /** Writes what waits and closes connection and store. */
  close(): Promise<void>;
}

/** Opens the store. Connect with `logIn`, or with `connect` when `client.userId` says that somebody is logged in. */
export async function createClient(options: ClientOptions): Promise<Client> {
  const client = new MadangClient(options);
  await client.load();
  return client;
}

const APPLICATION = "madang-sdk/1";

class MadangClient implements Client {
  readonly people: People;
  readonly #application: string;
  readonly #store: ClientStore;
  readonly #core: Core;
  readonly #http: Http;
  readonly #sender: Sender;
  readonly #watermarks: Watermarks;
  readonly #inbox: Inbox;
  readonly #link: Link;
  readonly #handles = new Map<string, Channel>();
  #deviceId = 0;
  #active = true;
  #watching = false;
  #leaving = false;

  constructor(options: ClientOptions) {
    const clock = options.clock ?? systemClock;
    const random = options.random ?? systemRandom;
    const settings = { ...clientDefaults, ...options.settings };
    const events: Emitter<ClientEvents> = new Emitter((error) => {
      // A listener of `problem` that throws has nobody left to tell.
      queueMicrotask(() => {
        throw error;
      });
    });
    const onFailure = (error: unknown) => events.emit("problem", { what: "writing to the store", error });
    const keeper = new Keeper({ store: options.store, clock, retryMs: settings.storeRetryMs, onFailure });
    this.#store = options.store;
    this.#application = options.application ?? APPLICATION;
    this.#core = new Core({ clock, random, settings, keeper, events, cursor: new Cursor(0, settings.chainMax) });
    this.#http = new Http({
      url: options.url.replace(/\/+$/, ""),
      fetch: options.fetch ?? systemFetch,
      clock,
      withinMs: settings.httpWithinMs,
      tokenMarginMs: settings.tokenMarginMs,
      onTokens: (login) => this.#keepLogin(login),
      onLoggedOut: () => this.#loggedOut("ended"),
    });
    this.people = new People(this.#http, random);
    this.#sender = new Sender(this.#core);
    this.#watermarks = new Watermarks(this.#core);
    this.#inbox = new Inbox(this.#core, this.#sender, this.#watermarks, { caughtUp: () => this.#caughtUp() });
    const active = () => this.#active;
    const webSocket = options.webSocket ?? browserWebSocket;
    const link = { core: this.#core, http: this.#http, webSocket, client: this.#application, active };
    this.#link = new Link(link, {
      welcome: (welcome) => this.#welcomed(welcome),
      frame: (frame) => this.#frame(frame),
      lost: () => this.#lost(),
      loggedOut: () => this.#loggedOut("ended"),
    });
  }

  async load(): Promise<void> {
    const records = await this.#store.load();
    const core = this.#core;
    const read = <T>(key: string) => {
      const value = records.get(key);
      return value === undefined ? undefined : decodeJson<T>(value);
    };
    const device = read<DeviceRecord>(recordKeys.device);
    core.producer = device?.producer ?? randomProducer(core.random);
    core.userId = device?.userId ?? 0;
    this.#deviceId = device?.deviceId ?? 0;
    core.cursor.restore(read<number>(recordKeys.cursor) ?? 0);
    const items: { readonly channelId: string; readonly key: number; readonly value: Uint8Array }[] = [];
    for (const [key, value] of records) {
      const [kind, channelId = "", itemKey] = key.split("/");
      if (kind === "channel") core.addChannel(channelId, decodeJson<ChannelRecord>(value));
      else if (kind === "out") items.push({ channelId, key: Number(itemKey), value });
    }
    items.sort((a, b) => a.key - b.key);
    for (const { channelId, key, value } of items)
      this.#sender.restore(core.channel(channelId), decodeItem(key, value));
    const login = read<LogInRecord>(recordKeys.login);
    if (login === undefined) return;
    this.#http.setLogin(login);
    this.#link.setState({ phase: "offline", reason: "not connected yet", retryInMs: undefined });
  }

  // ---- what an application asks

  get state() {
    return this.#link.state;
  }
  get userId() {
    return this.#http.login?.userId;
  }
  get deviceId() {
    return this.#http.login?.deviceId;
  }
  get channels() {
    return [...this.#core.channels.keys()].map((channelId) => this.channel(channelId));
  }
  get outbox() {
    return this.#sender.pending;
  }

  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): () => void {
    return this.#core.events.on(name, listener);
  }

  signUp(account: { name: string; password: string; displayName?: string }): Promise<Profile> {
    return this.#http.open("POST", "/v1/accounts", { body: account });
  }

  async logIn({ name, password, deviceName = this.#application }: Credentials): Promise<void> {
    if (this.state.phase === "closed") throw clientError("CLOSED");
    const core = this.#core;
    const device = this.#deviceId === 0 ? { name: deviceName } : { deviceId: this.#deviceId, name: deviceName };
    const login = await this.#http.logIn(name, password, device);
    if (core.userId !== 0 && core.userId !== login.userId) throw clientError("STORE_OF_ANOTHER");
    core.userId = login.userId;
    this.#deviceId = login.deviceId;
    this.#http.setLogin(login);
    await this.#keepLogin(login);
    this.#link.connect();
  }

  async connect(): Promise<void> {
    if (this.#http.login === undefined) throw clientError("NOT_LOGGED_IN");
    this.#link.connect();
  }

  disconnect(): void {
    if (this.#http.login === undefined || this.state.phase === "closed") return;
    this.#link.stop({ phase: "offline", reason: "disconnected", retryInMs: undefined });
  }

  async logOut(): Promise<void> {
    if (this.#http.login === undefined) return;
    this.#leaving = true; // the server may close the connection before it answers
    try {
      await this.#http.call("DELETE", "/v1/sessions/current");
    } catch (error) {
      this.#core.events.emit("problem", { what: "logging out at the server", error });
    }
    this.#loggedOut("asked");
    this.#leaving = false;
  }

  online(): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = ({ phase }: ClientState) => {
        if (phase === "online") resolve();
        else if (phase === "closed") reject(clientError("CLOSED"));
        else if (phase === "loggedOut") reject(clientError("LOGGED_OUT"));
        else return;
        unsubscribe();
      };
      const unsubscribe = this.on("state", look);
      look(this.state);
    });
  }

  channel(channelId: string): Channel {
    let handle = this.#handles.get(channelId);
    if (handle === undefined) {
      const parts = { core: this.#core, sender: this.#sender, watermarks: this.#watermarks, people: this.people };
      handle = createChannel(this.#core.channel(channelId), parts);
      this.#handles.set(channelId, handle);
    }
    return handle;
  }

  directChannelId(otherUserId: number): string {
    if (this.userId === undefined) throw clientError("NOT_LOGGED_IN");
    return directChannelId(this.userId, otherUserId);
  }

  direct(otherUserId: number): Channel {
    return this.channel(this.directChannelId(otherUserId));
  }

  async createGroup(group: GroupOptions): Promise<Channel> {
    return this.channel(await this.people.createGroup(group));
  }

  async watchPresence(on: boolean): Promise<readonly Presence[]> {
    this.#watching = on;
    const { connection } = this.#core;
    if (connection === undefined) return [];
    const { presences } = await connection.request({ presenceWatch: { friends: on } });
    return presences?.presences ?? [];
  }

  setActive(active: boolean): void {
    this.#active = active;
  }

  async close(): Promise<void> {
    if (this.state.phase === "closed") return;
    this.#sender.stop(clientError("CLOSED"));
    this.#link.stop({ phase: "closed" });
    await this.#core.keeper.close();
  }

  // ---- what the connection brings

  #welcomed({ userId, textCharactersMax, fullSync }: Welcome): void {
    this.#core.userId = userId;
    this.#core.textCharactersMax = textCharactersMax || Number.POSITIVE_INFINITY;
    this.#inbox.welcomed(fullSync);
  }

  #caughtUp(): void {
    this.#link.caughtUp();
    this.#sender.online();
    this.#watermarks.online();
    if (!this.#watching) return;
    this.watchPresence(true).then(
      (presences) => this.#core.events.emit("presence", { presences }),
      (error: unknown) => this.#core.events.emit("problem", { what: "watching presence", error }),
    );
  }

  #frame(frame: Answer): void {
    const { events } = this.#core;
    if (this.#inbox.frame(frame)) return;
    if (frame.typing) events.emit("typing", frame.typing);
    else if (frame.presences) events.emit("presence", { presences: frame.presences.presences });
    else if (frame.error) events.emit("problem", { what: "the server says", error: fromReply(frame.error) });
  }

  #lost(): void {
    this.#inbox.lost();
    this.#watermarks.lost();
    this.#sender.lost();
  }

  // ---- the log-in

  async #keepLogin(login: LogInRecord): Promise<void> {
    const { userId, deviceId } = login;
    const device: DeviceRecord = { userId, deviceId, producer: this.#core.producer };
    await this.#core.keeper.keep([
      { key: recordKeys.login, value: encodeJson(login) },
      { key: recordKeys.device, value: encodeJson(device) },
    ]);
  }

  #loggedOut(reason: "asked" | "ended"): void {
    if (this.state.phase === "loggedOut") return;
    this.#http.setLogin(undefined);
    this.#core.keeper.put([{ key: recordKeys.login, value: undefined }]);
    this.#link.stop({ phase: "loggedOut", reason: this.#leaving ? "asked" : reason });
  }
}
