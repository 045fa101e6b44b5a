// Random users, providers and restarts from one seed: nobody is told of what was read before the worker asked, no job is left
// behind, and the newest of what is unread was told, or is a dead letter.

import { describe, expect, it } from "vitest";
import { PushJobKind } from "../proto/index.ts";
import { randomBelow } from "../runtime/index.ts";
import type { PushOutcome } from "./provider/port.ts";
import { createRig, ok, unread } from "./worker.test-rig.ts";

const SEEDS = 12;
const STEPS = 150;
const USERS = 4;

interface Channel {
  lastId: number;
  readId: number;
}

describe("the push worker", () => {
  it.each(Array.from({ length: SEEDS }, (_, seed) => seed + 1))("keeps its promises with seed %i", async (seed) => {
    const rig = await createRig({ inFlightMax: 8 }, seed);
    const chance = (share: number) => rig.random.next() < share;
    const channels = new Map<number, Channel>();
    for (let userId = 1; userId <= USERS; userId++) channels.set(userId, { lastId: 0, readId: 0 });
    const channelOf = (userId: number) => channels.get(userId) as Channel;
    const asked = new Map<number, number>();
    const wrong: string[] = [];
    let healed = false;
    rig.control.ask = async (userId) => {
      if (!healed && chance(0.1)) throw new Error("away");
      const { readId, lastId } = channelOf(userId);
      asked.set(userId, readId);
      return unread({ readId, unread: lastId - readId, pushedId: lastId });
    };
    rig.control.answer = async (_registration, { userId, messageId, kind }): Promise<PushOutcome> => {
      if (kind === "notify" && messageId <= (asked.get(userId) ?? 0)) wrong.push(`${userId} had read ${messageId}`);
      await new Promise<void>((resolve) => rig.clock.after(randomBelow(rig.random, 400), resolve));
      if (healed) return ok;
      if (chance(0.2)) return { kind: "retry", afterMs: randomBelow(rig.random, 3_000), reason: "busy" };
      if (chance(0.05)) throw new Error("broken");
      return ok;
    };

    for (let step = 0; step < STEPS; step++) {
      const userId = 1 + randomBelow(rig.random, USERS);
      const channel = channelOf(userId);
      if (chance(0.7)) {
        channel.lastId += 1;
        const job = rig.job(channel.lastId, { userId });
        await rig.enqueue(job, ...(chance(0.3) ? [job] : []));
      } else if (channel.readId < channel.lastId) {
        channel.readId = channel.lastId;
        await rig.enqueue(rig.job(channel.readId, { userId, kind: PushJobKind.CLEAR }));
      }
      if (chance(0.04)) await rig.restart(chance(0.5) ? "stop" : "crash");
      await rig.clock.advance(randomBelow(rig.random, 800));
    }
    healed = true;
    await rig.clock.advance(3_600_000);

    expect(wrong).toEqual([]);
    const { waiting, held } = rig.running.queue.stats();
    expect([waiting, held]).toEqual([0, 0]);
    const dead = await rig.running.queue.deadLetters(1_000);
    for (const [userId, { lastId, readId }] of channels) {
      const told = rig.sent.filter((one) => one.userId === userId && one.kind === "notify");
      const buried = dead.some(({ job }) => job?.userId === userId && job.messageId === lastId);
      if (lastId > readId && !buried) expect(told.map(({ messageId }) => messageId)).toContain(lastId);
    }
    await rig.close();
  });
});
