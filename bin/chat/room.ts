// The chat in the terminal: which channel is open, what is printed, and what the commands do.

import {
  type Channel,
  type Client,
  ClientError,
  type Entry,
  type Presence,
  PresenceState,
  type Profile,
  parseChannelId,
} from "../../client/index.ts";
import { type ChannelRow, clockTime, formatChannel, formatEntry, harmless, parseLine } from "./format.ts";
import type { Terminal } from "./terminal.ts";

/** One page of /history. */
const PAGE_ENTRIES = 20;
const PASTE_END = ".";

const HELP = `  text            sends it to the open channel; a backslash at the end of a line continues it
  /paste          sends several lines, up to a line with a single "."
  /list           channels, with what is unread
  /open N         opens a channel of the list
  /dm NAME        opens the chat with a person
  /group TITLE NAME…   makes a group; a title of several words stands in quotes
  /add NAME · /leave   members of the open group
  /history        older messages, page by page
  /show ID        a whole message
  /reply ID TEXT · /edit ID TEXT · /delete ID · /react ID EMOJI
  /who            members of the open channel, and who is online
  /read           marks the open channel as read
  /friends · /friend NAME   friends and requests; asks for a friendship, or accepts one
  /logout · /quit · /help`;

export class Room {
  readonly #client: Client;
  readonly #terminal: Terminal;
  readonly #people = new Map<number, Profile>();
  readonly #presence = new Map<number, Presence>();
  readonly #commands: Readonly<Record<string, (words: readonly string[], rest: string) => Promise<void>>>;
  #open: Channel | undefined;
  /** Oldest message of the open channel that is on the screen. */
  #oldestShown = 0;
  /** The list as it was printed last: /open counts in it. */
  #listed: readonly Channel[] = [];
  /** Things are printed in the order in which they came, though names have to be asked for. */
  #printing: Promise<void> = Promise.resolve();
  #over = false;

  constructor(client: Client, terminal: Terminal) {
    this.#client = client;
    this.#terminal = terminal;
    this.#commands = {
      help: async () => terminal.print(HELP),
      list: () => this.#list(),
      open: ([number = ""]) => this.#openListed(Number(number)),
      dm: (_words, name) => this.#direct(name),
      group: (_words, rest) => this.#group(rest),
      add: (_words, name) => this.#add(name),
      leave: () => this.#leave(),
      history: () => this.#history(),
      show: ([id = ""]) => this.#show(Number(id)),
      reply: ([id = ""], rest) => this.#reply(Number(id), rest.slice(id.length).trim()),
      edit: ([id = ""], rest) => this.#edit(Number(id), rest.slice(id.length).trim()),
      delete: ([id = ""]) => this.#deliver((channel) => channel.delete(Number(id))),
      react: ([id = "", emoji = ""]) => this.#deliver((channel) => channel.react(Number(id), emoji)),
      paste: () => this.#paste(),
      who: () => this.#who(),
      read: () => this.#channel().markRead(),
      friends: () => this.#friends(),
      friend: (_words, name) => this.#befriend(name),
      logout: () => this.#logOut(),
      quit: async () => {
        this.#over = true;
      },
    };
    this.#listen();
  }

  /** Until /quit, or the end of the input. */
  async run(): Promise<void> {
    await this.#list();
    await this.#client.watchPresence(true).then((presences) => this.#present(presences, false), this.#complain);
    this.#terminal.print(this.#terminal.dim("/help tells what there is"));
    while (!this.#over) {
      this.#terminal.setPrompt(`${this.#open === undefined ? "" : await this.#titleOf(this.#open)}> `);
      const line = await this.#terminal.line();
      if (line === undefined) break;
      await this.#type(line).catch(this.#complain);
    }
    await this.#printing;
  }

  async #type(first: string): Promise<void> {
    let line = first;
    while (line.endsWith("\\")) {
      const next = await this.#terminal.line();
      line = `${line.slice(0, -1)}\n${next ?? ""}`;
      if (next === undefined) break;
    }
    const command = parseLine(line);
    if (command.kind === "nothing") return;
    if (command.kind === "text") return this.#deliver((channel) => channel.send(command.text));
    const run = this.#commands[command.name];
    if (run === undefined)
      return this.#terminal.print(`There is no /${harmless(command.name)}; /help tells what there is.`);
    await run(command.words, command.rest);
  }

  readonly #complain = (error: unknown): void => {
    const text = error instanceof ClientError ? `${error.message} (${error.code})` : String(error);
    this.#terminal.print(this.#terminal.dim(`! ${harmless(text)}`));
  };

  // ---- what comes

  #listen(): void {
    const { dim } = this.#terminal;
    this.#client.on("entries", ({ channelId, entries }) => this.#later(() => this.#arrived(channelId, entries)));
    this.#client.on("gap", ({ channelId, gap }) => {
      if (channelId === this.#open?.id) this.#terminal.print(dim(`  (${gap.fromId} to ${gap.toId} cannot be seen)`));
    });
    this.#client.on("presence", ({ presences }) => this.#later(() => this.#present(presences, true)));
    this.#client.on("typing", ({ channelId, userId, typing }) => {
      if (!typing || channelId !== this.#open?.id) return;
      this.#later(async () => this.#terminal.print(dim(`  ${await this.#name(userId)} is typing…`)));
    });
    this.#client.on("state", (state) => {
      if (state.phase === "offline") {
        const again = state.retryInMs === undefined ? "" : `, next attempt in ${Math.ceil(state.retryInMs / 1_000)} s`;
        this.#terminal.print(dim(`  offline: ${harmless(state.reason)}${again}`));
      } else if (state.phase === "online") this.#terminal.print(dim("  online"));
      else if (state.phase === "replaced") this.#terminal.print(dim("  this device has connected elsewhere"));
      else if (state.phase === "loggedOut") {
        this.#terminal.print(dim("  logged out"));
        this.#over = true;
        this.#terminal.close(); // whoever waits for a line waits no longer
      }
    });
  }

  #later(print: () => Promise<void>): void {
    this.#printing = this.#printing.then(print).catch(this.#complain);
  }

  async #arrived(channelId: string, entries: readonly Entry[]): Promise<void> {
    if (channelId === this.#open?.id) {
      await this.#printEntries(entries);
      if (this.#terminal.interactive) await this.#open.markRead();
      return;
    }
    const last = entries.at(-1);
    if (last === undefined || last.author === this.#client.userId) return;
    const channel = this.#client.channel(channelId);
    if (channel.unread === 0) return;
    const title = await this.#titleOf(channel);
    this.#terminal.print(this.#terminal.dim(`  ${title}: ${channel.unread} new, last at ${clockTime(last.timeMs)}`));
  }

  async #present(presences: readonly Presence[], tell: boolean): Promise<void> {
    for (const presence of presences) {
      const before = this.#presence.get(presence.userId)?.state;
      this.#presence.set(presence.userId, presence);
      if (!tell || before === presence.state || presence.state === PresenceState.UNKNOWN) continue;
      const state = presence.state === PresenceState.ONLINE ? "online" : "offline";
      this.#terminal.print(this.#terminal.dim(`  ${await this.#name(presence.userId)} is ${state}`));
    }
  }

  // ---- channels

  async #list(): Promise<void> {
    const channels = this.#client.channels.filter((channel) => channel.lastId > 0);
    channels.sort((a, b) => Number(b.unread > 0) - Number(a.unread > 0) || a.id.localeCompare(b.id));
    this.#listed = channels;
    if (channels.length === 0) return this.#terminal.print("No channels yet: /dm NAME begins one.");
    for (const [at, channel] of channels.entries()) {
      this.#terminal.print(formatChannel(await this.#row(channel), at + 1));
    }
  }

  async #row(channel: Channel): Promise<ChannelRow> {
    const peer = this.#peerOf(channel);
    const online = peer !== undefined && this.#presence.get(peer)?.state === PresenceState.ONLINE;
    const { unread, left } = channel;
    return { title: await this.#titleOf(channel), unread, left, online, open: channel.id === this.#open?.id };
  }

  #peerOf(channel: Channel): number | undefined {
    const name = parseChannelId(channel.id);
    if (name?.kind !== "direct") return undefined;
    return name.users.find((userId) => userId !== this.#client.userId) ?? this.#client.userId;
  }

  async #titleOf(channel: Channel): Promise<string> {
    const peer = this.#peerOf(channel);
    if (peer !== undefined) return this.#name(peer);
    if (channel.title === "" && !channel.left) await channel.describe().catch(this.#complain);
    return harmless(channel.title || channel.id).replaceAll("\n", " ");
  }

  async #enter(channel: Channel): Promise<void> {
    this.#open = channel;
    this.#oldestShown = 0;
    this.#terminal.print(this.#terminal.bold(`— ${await this.#titleOf(channel)} —`));
    if (channel.lastId === 0) return;
    await this.#history();
    await channel.markRead();
  }

  async #openListed(number: number): Promise<void> {
    const channel = this.#listed[number - 1];
    if (channel === undefined) return this.#terminal.print("/open takes a number of /list.");
    await this.#enter(channel);
  }

  async #direct(name: string): Promise<void> {
    const { userId } = await this.#find(name);
    await this.#enter(this.#client.direct(userId));
  }

  async #group(rest: string): Promise<void> {
    const [, quoted, plain, names = ""] = /^(?:"([^"]+)"|(\S+))\s*(.*)$/.exec(rest) ?? [];
    const title = quoted ?? plain;
    if (title === undefined) return this.#terminal.print("/group TITLE NAME…");
    const members = await Promise.all(
      names
        .split(/\s+/)
        .filter(Boolean)
        .map((name) => this.#find(name)),
    );
    const memberIds = members.map(({ userId }) => userId);
    await this.#enter(await this.#client.createGroup({ title, memberIds }));
  }

  async #add(name: string): Promise<void> {
    const channel = this.#channel();
    await this.#client.people.addMember(channel.id, (await this.#find(name)).userId);
  }

  async #leave(): Promise<void> {
    const channel = this.#channel();
    if (this.#client.userId !== undefined) await this.#client.people.removeMember(channel.id, this.#client.userId);
    this.#open = undefined;
  }

  #channel(): Channel {
    if (this.#open === undefined) throw new Error("no channel is open: /open N or /dm NAME");
    return this.#open;
  }

  // ---- messages

  /** Does not wait for the acknowledgement: the message is kept and goes when it can. */
  async #deliver(send: (channel: Channel) => Promise<unknown>): Promise<void> {
    const sending = send(this.#channel());
    if (this.#client.state.phase !== "online")
      this.#terminal.print(this.#terminal.dim("  kept; it goes when there is a connection"));
    sending.catch(this.#complain);
  }

  async #reply(messageId: number, text: string): Promise<void> {
    await this.#deliver((channel) => channel.send(text, { replyTo: messageId }));
  }

  async #edit(messageId: number, text: string): Promise<void> {
    await this.#deliver((channel) => channel.edit(messageId, text));
  }

  async #paste(): Promise<void> {
    const lines: string[] = [];
    for (
      let line = await this.#terminal.line();
      line !== undefined && line !== PASTE_END;
      line = await this.#terminal.line()
    ) {
      lines.push(line);
    }
    await this.#deliver((channel) => channel.send(lines.join("\n")));
  }

  async #history(): Promise<void> {
    const channel = this.#channel();
    const before = this.#oldestShown === 0 ? {} : { before: this.#oldestShown };
    if (this.#oldestShown === 1) return this.#terminal.print(this.#terminal.dim("  this is the beginning"));
    const { entries, firstVisibleId } = await channel.history({ ...before, limit: PAGE_ENTRIES });
    await this.#printEntries(entries);
    const oldest = entries[0]?.messageId ?? 1;
    if (oldest > firstVisibleId && oldest > 1) this.#terminal.print(this.#terminal.dim("  /history shows older ones"));
    this.#oldestShown = oldest <= firstVisibleId ? 1 : oldest;
  }

  async #show(messageId: number): Promise<void> {
    const { entries } = await this.#channel().history({ before: messageId + 1, limit: 1 });
    await this.#printEntries(entries, true);
  }

  async #printEntries(entries: readonly Entry[], whole = false): Promise<void> {
    const people = new Set(
      entries.flatMap(({ author, content }) => [
        author,
        ...(content?.membership?.members ?? []).map(({ userId }) => userId),
      ]),
    );
    const names = new Map<number, string>();
    for (const userId of people) if (userId !== 0) names.set(userId, await this.#name(userId));
    const of = (userId: number) => names.get(userId) ?? `${userId}`;
    for (const entry of entries) this.#terminal.print(formatEntry(entry, { of }, whole));
    if (this.#oldestShown === 0) this.#oldestShown = entries[0]?.messageId ?? 0;
  }

  // ---- people

  async #who(): Promise<void> {
    const channel = this.#channel();
    const [{ members }, presences] = await Promise.all([channel.describe(), channel.presence()]);
    for (const { userId, role } of members) {
      const presence = presences.find((other) => other.userId === userId);
      const online = presence?.state === PresenceState.ONLINE;
      const seen = !online && presence?.lastActiveAtMs ? `, last active ${clockTime(presence.lastActiveAtMs)}` : "";
      this.#terminal.print(
        ` ${online ? "●" : "·"} ${await this.#name(userId)}${role === "member" ? "" : ` (${role})`}${seen}`,
      );
    }
  }

  async #friends(): Promise<void> {
    const [friends, { incoming, outgoing }] = await Promise.all([
      this.#client.people.friends(),
      this.#client.people.friendRequests(),
    ]);
    for (const profile of [...friends, ...incoming, ...outgoing]) this.#people.set(profile.userId, profile);
    for (const { userId, name } of friends) {
      const online = this.#presence.get(userId)?.state === PresenceState.ONLINE;
      this.#terminal.print(` ${online ? "●" : "·"} ${harmless(name)}`);
    }
    for (const { name } of incoming)
      this.#terminal.print(` ? ${harmless(name)} asks: /friend ${harmless(name)} accepts`);
    for (const { name } of outgoing) this.#terminal.print(` … ${harmless(name)} has not answered yet`);
    if (friends.length + incoming.length + outgoing.length === 0)
      this.#terminal.print("No friends yet: /friend NAME asks.");
  }

  /** Two requests that cross make a friendship: so asking accepts, too. */
  async #befriend(name: string): Promise<void> {
    const { userId } = await this.#find(name);
    await this.#client.people.befriend(userId);
    const friends = await this.#client.people.friends();
    const accepted = friends.some((friend) => friend.userId === userId);
    this.#terminal.print(`${harmless(name)} is ${accepted ? "a friend" : "asked"}.`);
    await this.#present(await this.#client.watchPresence(true), false);
  }

  async #logOut(): Promise<void> {
    await this.#client.logOut();
    this.#over = true;
  }

  async #find(name: string): Promise<Profile> {
    const profile = await this.#client.people.find(name);
    this.#people.set(profile.userId, profile);
    return profile;
  }

  /** People that cannot be asked for now go by their number. */
  async #name(userId: number): Promise<string> {
    if (!this.#people.has(userId)) {
      try {
        this.#people.set(userId, await this.#client.people.get(userId));
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
      }
    }
    return harmless(this.#people.get(userId)?.displayName ?? `user ${userId}`).replaceAll("\n", " ");
  }
}
