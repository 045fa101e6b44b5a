// The demo on a cluster: three actor nodes and two gateways on real engines. 100 people chat, one actor node and one gateway are
// killed in the middle, and each promise is counted against a full read of the ring.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Cluster } from "../cluster/cluster.ts";
import { type Counts, countPromises } from "./count.ts";
import type { Device } from "./person.ts";
import { readRing, ringOf } from "./ring-reader.ts";
import { AWAY_MS, finish, makeGroup, report, restart, say, signUp, Talk } from "./talk.ts";

/** Kills one of each, and starts them again under their names a little later. */
export async function demoOnCluster(cluster: Cluster): Promise<Counts> {
  const folder = await mkdtemp(join(tmpdir(), "madang-demo-"));
  const devices: Device[] = [];
  try {
    devices.push(...(await signUp(cluster.apiUrl, folder)));
    const group = await makeGroup(devices);
    const talk = new Talk(devices, group);
    const talking = talk.run();
    await talk.half;
    await Promise.all([cluster.node("actors-2").kill(), cluster.node("gateway-1").kill()]);
    say(`SIGKILL of actors-2 and gateway-1: ${talk.answered} of ${talk.sends.length} sends are acknowledged`);
    const restarted = restart(devices);
    await pause(AWAY_MS);
    await Promise.all([cluster.start("actors-2", "actors"), cluster.start("gateway-1", "gateway")]);
    say("both are back under their names");
    await Promise.all([talking, restarted]);
    await finish(devices, talk);
    for (const device of devices) await device.switchOff();
    const { logs, rows } = await readRing(ringOf(cluster.settings));
    const counts = countPromises(talk.sends, talk.heard(), logs);
    const killed = "after SIGKILL of an actor node and a gateway";
    report(counts, { where: `${rows} rows of the ring, read at QUORUM`, killed }, devices);
    return counts;
  } finally {
    for (const device of devices) await device.switchOff();
    await rm(folder, { recursive: true, force: true });
  }
}
