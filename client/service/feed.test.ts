import { describe, expect, it } from "vitest";
import { seededRandom } from "../../runtime/index.ts";
import { entry } from "./cluster.test-rig.ts";
import { Feed } from "./feed.ts";

const limits = { followReadyMax: 10, followEarlyMax: 4, followBytesMax: 1_000 };
const sized = (id: number, bytes = 10) => ({ entry: entry(id), bytes });
const ids = (feed: Feed) => feed.take().map((each) => each.messageId);

describe("a feed", () => {
  it("holds back what came above a hole, and lacks what lies in it", () => {
    const feed = new Feed(3, limits);
    feed.add(sized(5));
    expect([ids(feed), feed.to, feed.lacks]).toEqual([[], 3, true]);
    feed.fill([sized(4), sized(5)]);
    expect([ids(feed), feed.to, feed.lacks]).toEqual([[4, 5], 5, false]);
  });

  it("lacks what it was told of and did not get", () => {
    const feed = new Feed(0, limits);
    feed.know(2);
    expect(feed.lacks).toBe(true);
  });

  it("takes no more than fits, by count or by bytes, and lacks the rest when there is room again", () => {
    const feed = new Feed(0, limits);
    for (let id = 1; id <= 50; id++) feed.add(sized(id));
    expect(feed.lacks).toBe(false);
    expect(ids(feed)).toHaveLength(10);
    expect(ids(feed)).toEqual([11, 12, 13, 14]); // those that had come early
    expect(feed.lacks).toBe(true);
    const long = new Feed(0, limits);
    for (let id = 1; id <= 5; id++) long.add(sized(id, 600));
    expect(ids(long)).toEqual([1, 2]);
    expect(ids(long)).toEqual([3]);
  });

  it("keeps no room for what it has had", () => {
    const feed = new Feed(9, limits);
    for (const id of [1, 2, 3, 4, 11, 12]) feed.add(sized(id));
    feed.fill([sized(10)]);
    expect(ids(feed)).toEqual([10, 11, 12]);
  });

  it("gives each id once and in order, whatever is told, lost, doubled or late", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seededRandom(seed);
      const feed = new Feed(0, limits);
      const given: number[] = [];
      const last = 60;
      for (let step = 0; step < 2_000 && given.length < last; step++) {
        const chance = random.next();
        if (chance < 0.6) feed.add(sized(1 + Math.floor(random.next() * last)));
        else if (chance < 0.7) feed.know(last);
        else if (chance < 0.85 && feed.lacks) {
          const from = feed.to + 1;
          feed.fill(Array.from({ length: 5 }, (_, at) => from + at).flatMap((id) => (id <= last ? [sized(id)] : [])));
        } else given.push(...ids(feed));
      }
      expect(given, `seed ${seed}`).toEqual(Array.from({ length: last }, (_, at) => at + 1));
    }
  });
});
