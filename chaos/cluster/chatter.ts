// People who go on chatting while something happens to the cluster, through the SDK as its users use it: pairs, and one group of
// all. What each text took, and what the users saw go wrong, is written down.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createMemoryStore } from "../../client/index.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { type Counts, countPromises, type SendRecord } from "../../tools/demo/count.ts";
import { Device } from "../../tools/demo/person.ts";
import { readRing, ringOf } from "../../tools/demo/ring-reader.ts";
import type { World } from "./scenario.ts";

export interface Text {
  readonly channelId: string;
  readonly sentMs: number;
  /** Infinity while it has no ack. */
  ackedMs: number;
}

export interface Chatter {
  readonly devices: readonly Device[];
  readonly texts: readonly Text[];
  readonly channels: readonly string[];
  readonly group: string;
  /** What users saw: refused sends, and problems that the SDK tells. */
  readonly errors: string[];
  talk(): void;
  /** No more texts. */
  hush(): Promise<void>;
  /** Everything is answered and has reached everybody; false if it took longer. */
  settled(withinMs: number): Promise<boolean>;
  /** Milliseconds until the first text that was sent after `sinceMs` was acknowledged, by channel. */
  firstAckAfter(sinceMs: number): Map<string, number>;
  /** Latencies of the texts that were sent in this time, ascending. */
  latencies(fromMs: number, toMs: number): number[];
  counts(): Promise<Counts>;
  close(): Promise<void>;
}

export interface ChatterOptions {
  readonly cluster: Cluster;
  readonly pairs: number;
  /** Between two texts of one person. */
  readonly everyMs: number;
  /** One text in so many goes to the group. */
  readonly groupEvery: number;
}

export async function gather({ cluster, pairs, everyMs, groupEvery }: ChatterOptions): Promise<Chatter> {
  const folder = await mkdtemp(join(tmpdir(), "madang-chatter-"));
  const devices = Array.from({ length: pairs * 2 }, (_, at) => {
    const records = new Map<string, Uint8Array>();
    const name = `${cluster.name}-${at}`; // all clusters of a run have their accounts in one database
    return new Device(name, name, cluster.apiUrl, async () => createMemoryStore(records));
  });
  const errors: string[] = [];
  for (const device of devices) {
    await device.signUp();
    await device.switchOn();
    device.client.on("refused", ({ error }) => errors.push(`refused ${error.code}`));
  }
  await Promise.all(devices.map((device) => device.client.online()));
  const [owner, ...others] = devices as [Device, ...Device[]];
  const { id: group } = await owner.client.createGroup({
    title: "yard",
    memberIds: others.map(({ userId }) => userId),
  });
  const directOf = (at: number) => {
    const ids = [devices[at], devices[at ^ 1]].map((device) => device?.userId ?? 0);
    return `d${Math.min(...ids)}.${Math.max(...ids)}`;
  };
  const texts: Text[] = [];
  const sends: SendRecord[] = [];
  let talking: Promise<unknown>[] = [];
  let hushed = true;
  let said = 0;

  const talk = async (device: Device, at: number) => {
    await pause((everyMs * at) / devices.length);
    while (!hushed) {
      said += 1;
      const channelId = said % groupEvery === 0 ? group : directOf(at);
      const text: Text = { channelId, sentMs: performance.now(), ackedMs: Number.POSITIVE_INFINITY };
      texts.push(text);
      const record = device.send(channelId, `«${said}»`);
      sends.push(record);
      void (async () => {
        while (record.outcome.kind === "waiting") await pause(2);
        if (record.outcome.kind === "acknowledged") text.ackedMs = performance.now();
      })();
      await pause(everyMs);
    }
  };
  const heard = () =>
    devices.flatMap((device, at) => [group, directOf(at)].map((channelId) => device.recordOf(channelId)));
  const missing = () => {
    const last = new Map<string, number>();
    for (const { channelId, outcome } of sends) {
      if (outcome.kind === "acknowledged") last.set(channelId, Math.max(last.get(channelId) ?? 0, outcome.messageId));
    }
    return heard().reduce(
      (sum, { channelId, entries }) => sum + Math.max(0, (last.get(channelId) ?? 0) - entries.length),
      0,
    );
  };

  return {
    devices,
    texts,
    channels: [...new Set(devices.map((_, at) => directOf(at)))],
    group,
    errors,
    talk() {
      hushed = false;
      talking = devices.map(talk);
    },
    async hush() {
      hushed = true;
      await Promise.all(talking);
    },
    async settled(withinMs) {
      const untilMs = performance.now() + withinMs;
      while (sends.some(({ outcome }) => outcome.kind === "waiting") || missing() > 0) {
        if (performance.now() > untilMs) return false;
        await pause(20);
      }
      return true;
    },
    firstAckAfter(sinceMs) {
      const first = new Map<string, number>();
      for (const { channelId, sentMs, ackedMs } of texts) {
        if (sentMs < sinceMs) continue;
        first.set(channelId, Math.min(first.get(channelId) ?? Number.POSITIVE_INFINITY, ackedMs - sinceMs));
      }
      return first;
    },
    latencies: (fromMs, toMs) =>
      texts
        .filter(({ sentMs }) => sentMs >= fromMs && sentMs < toMs)
        .map(({ sentMs, ackedMs }) => ackedMs - sentMs)
        .sort((a, b) => a - b),
    async counts() {
      const { logs } = await readRing(ringOf(cluster.settings));
      return countPromises(sends, heard(), logs);
    },
    async close() {
      hushed = true;
      for (const device of devices) await device.switchOff();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Each channel has an acknowledgement of something said after `sinceMs`; resolves with what the last one of them took. */
export async function servedSince(chatter: Chatter, sinceMs: number, withinMs: number): Promise<number> {
  const channels = [...chatter.channels, chatter.group];
  const longestMs = () => {
    const first = chatter.firstAckAfter(sinceMs);
    return Math.max(...channels.map((channelId) => first.get(channelId) ?? Number.POSITIVE_INFINITY));
  };
  await until("every channel is served again", () => longestMs() < Number.POSITIVE_INFINITY, withinMs);
  return longestMs();
}

/** No more texts, and those that were said arrive, as a fact. */
export async function stateArrival({ fact }: World, chatter: Chatter, withinMs: number): Promise<void> {
  await chatter.hush();
  fact(await chatter.settled(withinMs), "everything that was said is acknowledged, and has reached everybody");
}

/** The promises, as facts. */
export async function statePromises({ fact }: World, chatter: Chatter): Promise<void> {
  const { sent, acknowledged, kept, delivered, lost, twice, outOfOrder, holes } = await chatter.counts();
  fact(
    lost + twice + outOfOrder + holes === 0 && acknowledged === sent,
    `${sent} sent, ${acknowledged} acknowledged, ${kept} kept, ${delivered} delivered: lost ${lost}, twice ${twice}, ` +
      `out of order ${outOfOrder}, holes unrepaired ${holes}`,
  );
}

/** Texts that were sent within the time, and those of them that were acknowledged by now. */
export function progress(
  chatter: Chatter,
  fromMs: number,
  toMs: number,
): { sent: number; acked: number; latencies: number[] } {
  const latencies = chatter.latencies(fromMs, toMs);
  return { sent: latencies.length, acked: latencies.filter((latency) => latency < Infinity).length, latencies };
}

export function percentile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN;
}

/** Resolves with the milliseconds that it took. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs: number): Promise<number> {
  const startedMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - startedMs > withinMs) throw new Error(`not so within ${withinMs} ms: ${what}`);
    await pause(10);
  }
  return performance.now() - startedMs;
}

/** All that was said in so long has had its acknowledgement in so much. */
const CALM_MS = 2_000;
export const CALM_ACK_MS = 1_000;

export function isCalm(chatter: Chatter): boolean {
  const latest = chatter.latencies(performance.now() - CALM_MS - CALM_ACK_MS, performance.now() - CALM_ACK_MS);
  return latest.length > 0 && latest.every((latency) => latency < CALM_ACK_MS);
}
