import { expect, it } from "vitest";
import { createVirtualClock } from "../virtual-clock.ts";
import { Handoffs } from "./handoffs.ts";
import { placementDefaults as settings } from "./settings.ts";
import { newStats } from "./stats.ts";

const owners = ["a", "a", "b"].map((nodeId) => ({ nodeId, epoch: 4 }));
const all = new Set(["a", "b", "c"]);
const none = () => false;

function make() {
  const clock = createVirtualClock();
  const stats = newStats();
  const sent: string[] = [];
  const handoffs = new Handoffs({
    settings,
    clock,
    stats,
    term: () => 7,
    send: (to, { beginHandoff }) =>
      void sent.push(`${to} ${beginHandoff?.term} ${beginHandoff?.tenures?.shards} @${beginHandoff?.tenures?.epochs}`),
  });
  return { clock, stats, sent, handoffs };
}

it("each owner is asked for all its shards in one message, in the name of the term", () => {
  const { handoffs, sent } = make();
  handoffs.begin(
    [0, 1, 2].map((shard) => ({ shard, to: "c" })),
    owners,
  );
  expect(sent).toEqual(["a 7 0,1 @4,4", "b 7 2 @4"]);
  expect([handoffs.size, handoffs.onTheWay()]).toEqual([3, 3]);
});

it("an owner that does not answer is asked again, except for what moves with the next table", async () => {
  const { clock, handoffs, sent } = make();
  handoffs.begin(
    [0, 1].map((shard) => ({ shard, to: "c" })),
    owners,
  );
  await clock.advance(settings.handoffResendMs - 1);
  expect([handoffs.tend(all, none), sent.length]).toEqual([[], 1]);
  await clock.advance(1);
  handoffs.tend(all, (shard) => shard === 0);
  handoffs.tend(all, none); // shard 0 has not been asked for again yet
  expect(sent.slice(1)).toEqual(["a 7 1 @4", "a 7 0 @4"]);
});

it("a shard whose owner is gone, or takes too long, moves without it, to where it was to go", async () => {
  const { clock, handoffs } = make();
  handoffs.begin(
    [1, 2].map((shard) => ({ shard, to: "c" })),
    owners,
  );
  handoffs.redirect(1, "b");
  expect(handoffs.targetOf(1)).toBe("b");
  expect(handoffs.tend(new Set(["b", "c"]), none)).toEqual([{ shard: 1, to: "b", cause: "orphans" }]);
  await clock.advance(settings.handoffMs);
  expect(handoffs.tend(all, (shard) => shard === 1)).toEqual([{ shard: 2, to: "c", cause: "overdue" }]);
});

it("a shard is on its way until this tenure of it is served, or it is late; how long it took is counted where it was asked for", async () => {
  const { clock, handoffs, stats } = make();
  handoffs.begin([{ shard: 0, to: "c" }], owners);
  await clock.advance(30);
  for (const shard of [0, 2]) handoffs.given(shard, { nodeId: "c", epoch: 5 });
  expect([handoffs.size, handoffs.onTheWay()]).toEqual([0, 2]);
  await clock.advance(10);
  handoffs.served({ shards: [0, 2], epochs: [4, 4] });
  expect([handoffs.onTheWay(), stats.handoffMs.count]).toEqual([2, 0]);
  handoffs.served({ shards: [0, 2], epochs: [5, 5] });
  expect([handoffs.onTheWay(), stats.handoffMs]).toEqual([0, { count: 1, sum: 40, max: 40 }]);
  handoffs.given(1, { nodeId: "c", epoch: 5 });
  await clock.advance(settings.arrivalMs);
  expect(handoffs.onTheWay()).toBe(0);
});
