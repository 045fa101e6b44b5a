// The HTTP API beside the log-in: people, friends, devices and groups.

import type { Http } from "./http.ts";
import type { Random } from "./ports.ts";

export interface Profile {
  readonly userId: number;
  readonly name: string;
  readonly displayName: string;
}

export interface Device {
  readonly deviceId: number;
  readonly name: string;
  readonly createdMs: number;
  readonly lastSeenMs: number;
}

export type RoleName = "member" | "admin" | "owner";

export interface ChannelDescription {
  readonly channelId: string;
  readonly title: string;
  readonly lastId: number;
  readonly members: readonly { readonly userId: number; readonly role: RoleName }[];
}

export interface FriendRequests {
  readonly incoming: readonly Profile[];
  readonly outgoing: readonly Profile[];
}

export interface GroupOptions {
  readonly title: string;
  /** At most 99 others; who creates the group is its owner. */
  readonly memberIds: readonly number[];
  /** Who joins later sees what was sent before. Default: no. */
  readonly historyVisible?: boolean;
}

export class People {
  readonly #http: Http;
  readonly #random: Random;

  constructor(http: Http, random: Random) {
    this.#http = http;
    this.#random = random;
  }

  me(): Promise<Profile> {
    return this.#http.call("GET", "/v1/me");
  }
  rename(displayName: string): Promise<Profile> {
    return this.#http.call("PATCH", "/v1/me", { body: { displayName } });
  }
  get(userId: number): Promise<Profile> {
    return this.#http.call("GET", `/v1/users/${userId}`);
  }
  /** Rejects with NO_SUCH_USER. */
  find(name: string): Promise<Profile> {
    return this.#http.call("GET", `/v1/users?name=${encodeURIComponent(name)}`);
  }

  async friends(): Promise<readonly Profile[]> {
    return (await this.#http.call<{ readonly friends: Profile[] }>("GET", "/v1/friends")).friends;
  }
  friendRequests(): Promise<FriendRequests> {
    return this.#http.call("GET", "/v1/friends/requests");
  }
  /** Two requests that cross make a friendship. */
  async befriend(userId: number): Promise<void> {
    await this.#http.call("POST", "/v1/friends/requests", { body: { userId }, idempotencyKey: this.#key() });
  }
  async accept(userId: number): Promise<void> {
    await this.#http.call("POST", `/v1/friends/requests/${userId}/accept`);
  }
  async decline(userId: number): Promise<void> {
    await this.#http.call("POST", `/v1/friends/requests/${userId}/decline`);
  }
  async unfriend(userId: number): Promise<void> {
    await this.#http.call("DELETE", `/v1/friends/${userId}`);
  }

  async devices(): Promise<readonly Device[]> {
    return (await this.#http.call<{ readonly devices: Device[] }>("GET", "/v1/devices")).devices;
  }
  /** Ends the log-ins of the device, and its connections. */
  async removeDevice(deviceId: number): Promise<void> {
    await this.#http.call("DELETE", `/v1/devices/${deviceId}`);
  }

  /** Returns the id of the new group. */
  async createGroup(group: GroupOptions): Promise<string> {
    const request = { body: group, idempotencyKey: this.#key() };
    return (await this.#http.call<{ readonly channelId: string }>("POST", "/v1/channels", request)).channelId;
  }
  describe(channelId: string): Promise<ChannelDescription> {
    return this.#http.call("GET", `/v1/channels/${channelId}`);
  }
  async retitle(channelId: string, title: string): Promise<void> {
    await this.#http.call("PATCH", `/v1/channels/${channelId}`, { body: { title } });
  }
  async addMember(channelId: string, userId: number, role: RoleName = "member"): Promise<void> {
    await this.#http.call("POST", `/v1/channels/${channelId}/members`, { body: { userId, role } });
  }
  async changeRole(channelId: string, userId: number, role: RoleName): Promise<void> {
    await this.#http.call("PATCH", `/v1/channels/${channelId}/members/${userId}`, { body: { role } });
  }
  /** Of oneself: leaves. */
  async removeMember(channelId: string, userId: number): Promise<void> {
    await this.#http.call("DELETE", `/v1/channels/${channelId}/members/${userId}`);
  }

  #key(): string {
    return Math.floor(this.#random.next() * Number.MAX_SAFE_INTEGER).toString(36);
  }
}
