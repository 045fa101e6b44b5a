import { describe, expect, it } from "vitest";
import { pause, silentLogger, systemClock } from "../../runtime/index.ts";
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

  it("an answer that crosses a request leaves no request between friends", async () => {
    await withStores(3, async (stores) => {
      for (let round = 0; round < 150; round++) {
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
      for (let round = 0; round < 150; round++) {
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
