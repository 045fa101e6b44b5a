// Accounts: who there is, with which devices and log-ins, and who is whose friend. Relational, for nothing in it is ordered by
// a log.
//
// (A1) A name belongs to one user, whatever comes at once.
// (A2) A refresh token can be used once. Used again, it ends its whole log-in: one of two holders is a thief.
// (A3) Two friend requests that cross are one friendship.

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

export interface LogIn {
  readonly loginId: string;
  readonly userId: number;
  readonly deviceId: number;
}

export interface NewUser {
  /** From nextId(). Creating the same user again under the same id gives what is there. */
  readonly userId: number;
  readonly name: string;
  readonly displayName: string;
  readonly passwordHash: string;
}

export interface NewLogIn {
  readonly loginId: string;
  readonly userId: number;
  /** Of a device that the user has; undefined makes a new one. */
  readonly deviceId: number | undefined;
  readonly deviceName: string;
  readonly refreshHash: string;
  readonly expiresMs: number;
}

export type Rotation =
  | ({ readonly kind: "rotated" } & LogIn)
  | ({ readonly kind: "reused" } & LogIn)
  | { readonly kind: "unknown" };

/** What was answered to a request that may be sent again. */
export interface Answered {
  readonly requestDigest: string;
  readonly status: number;
  readonly body: string;
}

export interface AccountStore {
  /** Rejects with ALREADY_EXISTS when another user has the name. */
  createUser(user: NewUser): Promise<Profile>;
  passwordOf(name: string): Promise<{ readonly userId: number; readonly passwordHash: string } | undefined>;
  profile(userId: number): Promise<Profile | undefined>;
  profileByName(name: string): Promise<Profile | undefined>;
  rename(userId: number, displayName: string): Promise<Profile>;
  userExists(userId: number): Promise<boolean>;
  /** Those of the ids that nobody has. */
  unknownUsers(userIds: readonly number[]): Promise<number[]>;

  /** A fresh id for a user or a group. */
  nextId(): Promise<number>;

  openLogIn(logIn: NewLogIn): Promise<LogIn>;
  /** (A2) `nextHash` takes the place of `refreshHash`, if that is the one that may be used now. */
  rotate(refreshHash: string, nextHash: string, expiresMs: number): Promise<Rotation>;
  isOpen(loginId: string): Promise<boolean>;
  closeLogIn(loginId: string): Promise<void>;
  devices(userId: number): Promise<Device[]>;
  /**
   * Closes the device's log-ins and gives the ids of all that may still have sockets, so that a caller who failed to close
   * those can ask again. Rejects with NO_SUCH_USER when the user has no such device.
   */
  removeDevice(userId: number, deviceId: number): Promise<string[]>;

  /** (A3) Tells whether the two are friends now. Rejects with NO_SUCH_USER, or NOT_ALLOWED for oneself. */
  requestFriend(from: number, to: number): Promise<"requested" | "friends">;
  /** False if there was no such request. */
  answerRequest(from: number, to: number, accept: boolean): Promise<boolean>;
  unfriend(userId: number, friendId: number): Promise<boolean>;
  friendsOf(userId: number): Promise<number[]>;
  friendProfiles(userId: number): Promise<Profile[]>;
  requestsOf(userId: number): Promise<{ readonly incoming: Profile[]; readonly outgoing: Profile[] }>;

  answered(scope: string, key: string): Promise<Answered | undefined>;
  /** Keeps the first answer for a day, and gives the one that is kept: a later one of the same key changes nothing. */
  keepAnswer(scope: string, key: string, answer: Answered): Promise<Answered>;

  /**
   * Counts an attempt of `who`, of whom `max` are allowed within a window of `windowMs` that begins with the first. Gives 0, or,
   * when there were so many, the milliseconds until the window ends.
   */
  takeAttempt(who: string, max: number, windowMs: number): Promise<number>;
  clearAttempts(who: string): Promise<void>;
  /** What all nodes know and nobody else: the first that was made under this name. */
  secret(name: string, made: string): Promise<string>;
  close(): Promise<void>;
}
