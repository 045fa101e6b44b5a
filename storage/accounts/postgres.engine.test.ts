import { describe, expect, it } from "vitest";
import { pause, randomBelow, seededRandom, silentLogger, systemClock } from "../../runtime/index.ts";
import { accountsContract } from "./contract.ts";
import { type AccountStore, applyAccountsSchema, openPostgresAccounts } from "./index.ts";
import { useDatabase } from "./postgres.test-rig.ts";

const database = useDatabase();
const log = silentLogger;

accountsContract("on PostgreSQL", async (clock) => {
  await database.clear();
  await applyAccountsSchema({ url: database.url, clock, log });
  return openPostgresAccounts({ url: database.url, clock, log });
});

describe("several nodes on one database", () => {
  const withStores = async (count: number, work: (stores: AccountStore[]) => Promise<void>) => {
    await applyAccountsSchema({ url: database.url, clock: systemClock, log });
    const opening = Array.from({ length: count }, () =>
      openPostgresAccounts({ url: database.url, clock: systemClock, log }),
    );
    const stores = await Promise.all(opening);
    try {
      await work(stores);
    } finally {
      await Promise.all(stores.map((store) => store.close()));
    }
  };
  const at = (stores: AccountStore[], turn: number) => stores[turn % stores.length] as AccountStore;
  let names = 0;
  const user = async (store: AccountStore) => {
    const name = `n${names++}`;
    return (await store.createUser({ userId: await store.nextId(), name, displayName: name, passwordHash: "hash" }))
      .userId;
  };

  it("a name that twenty want at once belongs to one of them", async () => {
    await withStores(3, async (stores) => {
      for (let round = 0; round < 10; round++) {
        const wanted = Array.from({ length: 20 }, async (_, turn) => {
          const store = at(stores, turn);
          const person = { userId: await store.nextId(), name: `wanted${round}`, displayName: "x", passwordHash: "h" };
          return store.createUser(person);
        });
        const outcomes = await Promise.allSettled(wanted);
        const made = outcomes.filter((outcome) => outcome.status === "fulfilled");
        expect(made).toHaveLength(1);
        expect(await at(stores, round).profileByName(`wanted${round}`)).toEqual(made[0]?.value);
        for (const outcome of outcomes) {
          if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "ALREADY_EXISTS" });
        }
      }
    });
  });

  it("of a refresh token that is used on all at once one goes on, and the log-in ends for the others", async () => {
    await withStores(3, async (stores) => {
      const userId = await user(at(stores, 0));
      for (let round = 0; round < 30; round++) {
        const refreshHash = `hash${round}`;
        const logIn = { loginId: `l${round}`, userId, deviceId: undefined, deviceName: "p", refreshHash };
        await at(stores, round).openLogIn({ ...logIn, expiresMs: 2 ** 50 });
        const rotations = await Promise.all(
          [0, 1, 2].map((turn) => at(stores, turn).rotate(refreshHash, `next${round} ${turn}`, 2 ** 50)),
        );
        expect(rotations.map(({ kind }) => kind).toSorted()).toEqual(["reused", "reused", "rotated"]);
        expect(await at(stores, round + 1).isOpen(`l${round}`)).toBe(false);
        const turn = rotations.findIndex(({ kind }) => kind === "rotated");
        expect((await at(stores, 2).rotate(`next${round} ${turn}`, "x", 2 ** 50)).kind).toBe("unknown");
      }
    });
  });

  it("requests that cross are one friendship, told to one side at least", async () => {
    await withStores(2, async (stores) => {
      for (let round = 0; round < 40; round++) {
        const [ann, bob] = [await user(at(stores, 0)), await user(at(stores, 1))];
        const both = await Promise.all([at(stores, 0).requestFriend(ann, bob), at(stores, 1).requestFriend(bob, ann)]);
        expect(both.toSorted()).toEqual(["friends", "requested"]);
        expect([await at(stores, 0).friendsOf(ann), await at(stores, 1).friendsOf(bob)]).toEqual([[bob], [ann]]);
        expect(await at(stores, 0).requestsOf(ann)).toEqual({ incoming: [], outgoing: [] });
      }
    });
  });

  it("whatever is done at once, nobody is the victim of a deadlock (Q3), and friendships have two sides", async () => {
    await withStores(3, async (stores) => {
      const people = await Promise.all(Array.from({ length: 6 }, () => user(at(stores, 0))));
      const random = seededRandom(7);
      const anybody = () => people[randomBelow(random, people.length)] as number;
      const open = (turn: number, deviceId?: number) => {
        const [loginId, refreshHash] = [`storm ${turn}`, `storm hash ${turn}`];
        const logIn = { loginId, refreshHash, userId: anybody(), deviceId, deviceName: "p", expiresMs: 2 ** 50 };
        return at(stores, turn).openLogIn(logIn);
      };
      const known = await Promise.all(Array.from({ length: 10 }, (_, turn) => open(turn)));
      // Old rows, which all forget at once.
      await database.query(
        "insert into used_tokens select 'old ' || n, 'storm 0', n from generate_series(1, 500) as n order by random()",
      );
      await database.query(
        "insert into answers select 'old', 'k' || n, '', 0, '', n from generate_series(1, 500) as n order by random()",
      );
      const tasks: ((store: AccountStore, turn: number) => Promise<unknown>)[] = [
        async (store) => {
          const [from, to] = [anybody(), anybody()];
          if (from !== to) await store.requestFriend(from, to);
        },
        (store) => store.answerRequest(anybody(), anybody(), true),
        (store) => store.unfriend(anybody(), anybody()),
        (_, turn) => open(turn + 100, known[turn % 10]?.deviceId),
        (store, turn) => store.rotate(`storm hash ${turn % 10}`, `storm next ${turn}`, 2 ** 50),
        (store, turn) => store.closeLogIn(`storm ${turn % 10}`),
        (store, turn) => {
          const { userId = 0, deviceId = 0 } = known[turn % 10] ?? {};
          return store.removeDevice(userId, deviceId).catch(() => undefined);
        },
        (store, turn) => store.keepAnswer("storm", `k${turn % 7}`, { requestDigest: "d", status: 201, body: "b" }),
        (store, turn) => store.takeAttempt(`who ${turn % 5}`, 3, 1),
        (store) => store.rename(anybody(), "renamed"),
      ];
      // In waves that the connections can take: what is sought is not their limit.
      for (let wave = 0; wave < 20; wave++) {
        const storm = Array.from({ length: 60 }, (_, at60) => {
          const turn = wave * 60 + at60;
          const task = tasks[randomBelow(random, tasks.length)] as (typeof tasks)[number];
          return task(at(stores, turn), turn);
        });
        const failed = (await Promise.allSettled(storm)).filter((outcome) => outcome.status === "rejected");
        expect(failed.map(({ reason }) => String(reason.cause ?? reason))).toEqual([]);
      }
      const oneSided = await database.query(`
        select * from friends as one where not exists (
          select from friends as other where other.user_id = one.friend_id and other.friend_id = one.user_id)`);
      expect(oneSided).toEqual([]);
    });
  });

  it("an answer that crosses a request leaves no request between friends", async () => {
    await withStores(3, async (stores) => {
      for (let round = 0; round < 60; round++) {
        const [ann, bob] = [await user(at(stores, 0)), await user(at(stores, 1))];
        await at(stores, 0).requestFriend(ann, bob);
        const outcome = await Promise.all([
          at(stores, 1).answerRequest(ann, bob, true),
          at(stores, 2).requestFriend(bob, ann),
          at(stores, 0).requestFriend(bob, ann),
        ]);
        const friends = await at(stores, 0).friendsOf(ann);
        const requests = await at(stores, 1).requestsOf(ann);
        expect({ round, outcome, friends, requests }).toMatchObject({
          friends: [bob],
          requests: { incoming: [], outgoing: [] },
        });
      }
    });
  });

  it("a friendship that ends while it is made anew is whole or gone", async () => {
    await withStores(2, async (stores) => {
      const [ann, bob] = [await user(at(stores, 0)), await user(at(stores, 1))];
      await at(stores, 0).requestFriend(bob, ann);
      await at(stores, 0).requestFriend(ann, bob);
      // A request between friends: none comes into being, but an old one may be there.
      await database.query("insert into friend_requests values ($1, $2, 0)", [bob, ann]);
      // The end of the friendship is stopped between its two rows.
      const letGo = await database.hold("select from friends where user_id = $1 and friend_id = $2 for update", [
        bob,
        ann,
      ]);
      const ending = at(stores, 0).unfriend(ann, bob);
      await pause(systemClock, 200);
      const accepting = at(stores, 1).answerRequest(bob, ann, true);
      await pause(systemClock, 200);
      await letGo();
      expect(await Promise.all([ending, accepting])).toEqual([true, true]);
      expect(await at(stores, 0).friendsOf(ann)).toEqual([bob]);
      expect(await at(stores, 0).friendsOf(bob)).toEqual([ann]);
    });
  });

  it("a request that is declined while it is crossed is one or the other, not both", async () => {
    await withStores(3, async (stores) => {
      for (let round = 0; round < 60; round++) {
        const [ann, bob] = [await user(at(stores, 0)), await user(at(stores, 1))];
        await at(stores, 0).requestFriend(ann, bob);
        const [declined, crossed] = await Promise.all([
          at(stores, 1).answerRequest(ann, bob, false),
          at(stores, 2).requestFriend(bob, ann),
        ]);
        expect([declined, crossed]).toEqual(declined ? [true, "requested"] : [false, "friends"]);
      }
    });
  });
});
