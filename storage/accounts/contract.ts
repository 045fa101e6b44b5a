// What every account store does, whatever engine is behind it.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createVirtualClock, type VirtualClock } from "../../runtime/index.ts";
import type { AccountStore } from "./port.ts";

export function accountsContract(name: string, open: (clock: VirtualClock) => Promise<AccountStore>): void {
  describe(`accounts: ${name}`, () => {
    let clock: VirtualClock;
    let accounts: AccountStore;
    beforeEach(async () => {
      clock = createVirtualClock();
      accounts = await open(clock);
    });
    afterEach(() => accounts.close());

    const user = async (userName: string) =>
      (
        await accounts.createUser({
          userId: await accounts.nextId(),
          name: userName,
          displayName: userName,
          passwordHash: "hash",
        })
      ).userId;
    const later = () => clock.wallMs() + 1_000_000;
    const logIn = async (userId: number, refreshHash: string, deviceId?: number) =>
      accounts.openLogIn({
        loginId: `login-${refreshHash}`,
        userId,
        deviceId,
        deviceName: "phone",
        refreshHash,
        expiresMs: later(),
      });

    it("gives a name to one of many who want it at once", async () => {
      const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => user("ann")));
      expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "ALREADY_EXISTS" });
      }
    });

    it("gives what is there when the same user is created again under the same id, and to nobody else", async () => {
      const ann = { userId: await accounts.nextId(), name: "ann", displayName: "Ann", passwordHash: "first" };
      const made = await accounts.createUser(ann);
      expect(await accounts.createUser({ ...ann, passwordHash: "second" })).toEqual(made);
      expect(await accounts.passwordOf("ann")).toMatchObject({ passwordHash: "first" });
      const thief = { ...ann, userId: await accounts.nextId() };
      await expect(accounts.createUser(thief)).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
      await expect(accounts.createUser({ ...ann, name: "other" })).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    });

    it("gives ids that rise, are safe integers, and none twice, also when the clock steps back", async () => {
      const ids: number[] = [];
      for (let at = 0; at < 200; at++) {
        if (at === 100) clock.stepWall(-3_600_000);
        const minting = accounts.nextId();
        await clock.advance(16);
        ids.push(await minting);
      }
      expect(ids.every(Number.isSafeInteger)).toBe(true);
      for (let at = 1; at < ids.length; at++) expect(ids[at]).toBeGreaterThan(ids[at - 1] as number);
    });

    it("finds users by id and by name, and tells which do not exist", async () => {
      const ann = await user("ann");
      expect(await accounts.profileByName("ann")).toEqual({ userId: ann, name: "ann", displayName: "ann" });
      expect((await accounts.rename(ann, "Ann 안")).displayName).toBe("Ann 안");
      expect(await accounts.unknownUsers([ann, 5])).toEqual([5]);
      expect(await accounts.userExists(5)).toBe(false);
      await expect(accounts.rename(5, "x")).rejects.toMatchObject({ code: "NO_SUCH_USER" });
    });

    it("lets exactly one of two that refresh at once go on, and ends the log-in for the other", async () => {
      const { loginId } = await logIn(await user("ann"), "r1");
      const both = await Promise.all([accounts.rotate("r1", "r2", later()), accounts.rotate("r1", "r3", later())]);
      expect(both.map((rotation) => rotation.kind).toSorted()).toEqual(["reused", "rotated"]);
      expect(await accounts.isOpen(loginId)).toBe(false);
    });

    it("ends the whole log-in when a used token comes again, however long ago it was used", async () => {
      const ann = await user("ann");
      const { loginId } = await logIn(ann, "r1");
      expect((await accounts.rotate("r1", "r2", later())).kind).toBe("rotated");
      expect((await accounts.rotate("r2", "r3", later())).kind).toBe("rotated");
      expect(await accounts.rotate("r1", "r9", later())).toMatchObject({ kind: "reused", loginId, userId: ann });
      expect((await accounts.rotate("r3", "r4", later())).kind).not.toBe("rotated");
    });

    it("does not know a token that was never given, has expired, or belongs to a closed log-in", async () => {
      const { loginId } = await logIn(await user("ann"), "r1");
      expect((await accounts.rotate("never", "x", later())).kind).toBe("unknown");
      await accounts.closeLogIn(loginId);
      expect((await accounts.rotate("r1", "x", later())).kind).toBe("unknown");
      await logIn(await user("bob"), "r2");
      clock.stepWall(2_000_000);
      expect((await accounts.rotate("r2", "x", later())).kind).toBe("unknown");
    });

    it("keeps a device over its log-ins, and nobody else's", async () => {
      const [ann, bob] = [await user("ann"), await user("bob")];
      const { deviceId } = await logIn(ann, "r1");
      expect((await logIn(ann, "r2", deviceId)).deviceId).toBe(deviceId);
      expect((await logIn(bob, "r3", deviceId)).deviceId).not.toBe(deviceId);
      expect(await accounts.devices(ann)).toMatchObject([{ deviceId, name: "phone" }]);
      expect((await accounts.removeDevice(ann, deviceId)).toSorted()).toEqual(["login-r1", "login-r2"]);
      expect(await accounts.devices(ann)).toEqual([]);
      expect(await accounts.isOpen("login-r1")).toBe(false);
      // Whoever failed to close the sockets asks again.
      expect(await accounts.removeDevice(ann, deviceId)).toHaveLength(2);
      await expect(accounts.removeDevice(bob, deviceId)).rejects.toMatchObject({ code: "NO_SUCH_USER" });
    });

    it("makes one friendship of two requests that cross", async () => {
      const [ann, bob] = [await user("ann"), await user("bob")];
      const both = await Promise.all([accounts.requestFriend(ann, bob), accounts.requestFriend(bob, ann)]);
      expect(both).toContain("friends");
      expect(await accounts.friendsOf(ann)).toEqual([bob]);
      expect(await accounts.friendsOf(bob)).toEqual([ann]);
      expect(await accounts.requestsOf(ann)).toEqual({ incoming: [], outgoing: [] });
      expect(await accounts.requestFriend(ann, bob)).toBe("friends");
    });

    it("accepts, declines and ends a friendship", async () => {
      const [ann, bob] = [await user("ann"), await user("bob")];
      expect(await accounts.requestFriend(ann, bob)).toBe("requested");
      expect((await accounts.requestsOf(bob)).incoming).toMatchObject([{ userId: ann }]);
      expect(await accounts.answerRequest(ann, bob, false)).toBe(true);
      expect(await accounts.answerRequest(ann, bob, true)).toBe(false);
      await accounts.requestFriend(ann, bob);
      expect(await accounts.answerRequest(ann, bob, true)).toBe(true);
      expect((await accounts.friendProfiles(bob)).map((friend) => friend.name)).toEqual(["ann"]);
      expect(await accounts.unfriend(bob, ann)).toBe(true);
      expect(await accounts.friendsOf(ann)).toEqual([]);
      await expect(accounts.requestFriend(ann, ann)).rejects.toMatchObject({ code: "NOT_ALLOWED" });
      await expect(accounts.requestFriend(ann, 5)).rejects.toMatchObject({ code: "NO_SUCH_USER" });
    });

    it("keeps the first answer to a key", async () => {
      const first = { requestDigest: "d", status: 201, body: "first" };
      expect(await accounts.keepAnswer("u1", "k", first)).toEqual(first);
      const second = { requestDigest: "d", status: 500, body: "second" };
      expect(await accounts.keepAnswer("u1", "k", second)).toEqual(first);
      expect(await accounts.answered("u1", "k")).toEqual({ requestDigest: "d", status: 201, body: "first" });
      expect(await accounts.answered("u2", "k")).toBeUndefined();
    });

    it("forgets answers after a day, whoever's they are", async () => {
      const answer = { requestDigest: "d", status: 201, body: "first" };
      await accounts.keepAnswer("u1", "k", answer);
      clock.stepWall(86_400_001);
      await accounts.keepAnswer("u2", "k", answer);
      expect(await accounts.answered("u1", "k")).toBeUndefined();
      expect(await accounts.answered("u2", "k")).toEqual(answer);
    });

    it("forgets a few old answers at a time, however many there are", async () => {
      const answer = { requestDigest: "d", status: 201, body: "first" };
      for (let at = 0; at < 25; at++) await accounts.keepAnswer("u1", `k${at}`, answer);
      clock.stepWall(86_400_001);
      const left = async () => {
        const found = await Promise.all(Array.from({ length: 25 }, (_, at) => accounts.answered("u1", `k${at}`)));
        return found.filter((kept) => kept !== undefined).length;
      };
      await accounts.keepAnswer("u2", "a", answer);
      expect(await left()).toBe(15);
      for (const key of ["b", "c"]) await accounts.keepAnswer("u2", key, answer);
      expect(await left()).toBe(0);
    });

    it("counts attempts within a window that begins with the first, of many at once too", async () => {
      const attempts = await Promise.all(Array.from({ length: 12 }, () => accounts.takeAttempt("name ann", 5, 1_000)));
      expect(attempts.filter((waitMs) => waitMs === 0)).toHaveLength(5);
      clock.stepWall(400);
      expect(await accounts.takeAttempt("name ann", 5, 1_000)).toBe(600);
      expect(await accounts.takeAttempt("name bob", 5, 1_000)).toBe(0);
      clock.stepWall(600);
      expect(await accounts.takeAttempt("name ann", 5, 1_000)).toBe(0);
      for (let at = 0; at < 4; at++) expect(await accounts.takeAttempt("name ann", 5, 1_000)).toBe(0);
      expect(await accounts.takeAttempt("name ann", 5, 1_000)).toBe(1_000);
      await accounts.clearAttempts("name ann");
      expect(await accounts.takeAttempt("name ann", 5, 1_000)).toBe(0);
    });

    it("does not count for ever in a window that a wrong clock began", async () => {
      clock.stepWall(86_400_000);
      for (let at = 0; at < 6; at++) await accounts.takeAttempt("name ann", 5, 1_000);
      clock.stepWall(-86_400_000);
      expect(await accounts.takeAttempt("name ann", 5, 1_000)).toBe(0);
    });

    it("gives all the secret that was made first", async () => {
      const all = await Promise.all(["a", "b", "c"].map((made) => accounts.secret("key", made)));
      expect(new Set(all).size).toBe(1);
      expect(await accounts.secret("key", "d")).toBe(all[0]);
      expect(await accounts.secret("other", "d")).toBe("d");
    });
  });
}
