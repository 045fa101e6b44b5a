import { EPOCH_MAX, seededRandom, systemClock } from "../../runtime/index.ts";
import { channelLogContract, type LogNode } from "../log/contract.ts";
import { createFencedLogs } from "../log/fenced.ts";
import { createReplicas, fairWeather, type Weather } from "../memory/replicas.ts";
import { storageDefaults } from "../settings.ts";
import { fenceContract } from "./contract.ts";
import { QuorumFence } from "./quorum.ts";

const settings = { ...storageDefaults, retryPauseMs: 1, retryPauseMaxMs: 5 };
const identityOf = () => undefined;

const twoNodes = (weather: Weather) => async () => {
  const clock = systemClock;
  const replicas = createReplicas({ clock, random: seededRandom(1), weather, timeoutMs: 50 });
  const fences: QuorumFence[] = [];
  const node = (owner: string): LogNode => {
    const store = replicas.storeFor(owner);
    const fence = new QuorumFence({ store, owner, clock, settings });
    fences.push(fence);
    return { fence, logs: createFencedLogs({ store, fence, clock, settings, identityOf }) };
  };
  return {
    one: node("one#1"),
    other: node("other#1"),
    async close() {
      for (const fence of fences) fence.close();
    },
  };
};

const storm = {
  delayMsMax: 2,
  lateShare: 0.1,
  lateMsMax: 60,
  lostShare: 0.05,
  doubledShare: 0.1,
  repairShare: 0.3,
  fullShare: 0.3,
};

channelLogContract("fenced, healthy replicas", twoNodes(fairWeather), [1, 5_000, EPOCH_MAX]);
channelLogContract("fenced, replicas in a storm", twoNodes(storm), [1, 5_000, EPOCH_MAX]);
fenceContract("quorum, healthy replicas", twoNodes(fairWeather));
fenceContract("quorum, replicas in a storm", twoNodes(storm));
