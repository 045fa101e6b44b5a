// `make demo`: 100 people chat, the server is killed in the middle, and each promise is counted.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { allKept, countPromises } from "./count.ts";
import { type NodeProcess, startNodeProcess } from "./node-process.ts";
import type { Device } from "./person.ts";
import { freePort } from "./ports.ts";
import { readKept } from "./reader.ts";
import { AWAY_MS, finish, makeGroup, report, restart, say, signUp, Talk } from "./talk.ts";

/** Small, so that the kept log lies partly in the journal and partly in LMDB when it is read. */
const SETTINGS = { MADANG_STORAGE_CHECKPOINT_BYTES: "1000000" };

async function main(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "madang-demo-"));
  const data = join(folder, "node");
  let node: NodeProcess | undefined;
  const devices: Device[] = [];
  const interrupted = () => {
    process.exitCode = 130;
    void Promise.resolve(node?.kill())
      .then(() => rm(folder, { recursive: true, force: true }))
      .finally(() => process.exit());
  };
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", interrupted);
  try {
    const ports = { httpPort: await freePort(), wsPort: await freePort() };
    const options = { folder: data, settings: SETTINGS, ...ports };
    node = await startNodeProcess(options);
    say(`a node is ready: ${node.httpUrl}`);
    devices.push(...(await signUp(node.httpUrl, folder)));
    const group = await makeGroup(devices);
    const talk = new Talk(devices, group);
    const talking = talk.run();
    await talk.half;
    await node.kill();
    say(`SIGKILL: ${talk.answered} of ${talk.sends.length} sends are acknowledged`);
    const restarted = restart(devices);
    await pause(AWAY_MS);
    const beforeMs = performance.now();
    node = await startNodeProcess(options);
    say(`the node is back on its ports and its folder, ready after ${Math.round(performance.now() - beforeMs)} ms`);
    await Promise.all([talking, restarted]);
    await finish(devices, talk);
    for (const device of devices) await device.switchOff();
    const code = await node.stop();
    node = undefined;
    say(`the node has stopped with exit code ${code}; the log is read`);
    const reading = await readKept(data);
    const counts = countPromises(talk.sends, talk.heard(), reading.logs);
    const where = `${reading.rowsInDatabase} read in LMDB, ${reading.rowsInJournal} in the journal`;
    report(counts, { where, killed: "after one SIGKILL" }, devices);
    return allKept(counts);
  } finally {
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", interrupted);
    for (const device of devices) await device.switchOff();
    await node?.kill();
    await rm(folder, { recursive: true, force: true });
  }
}

if (!(await main())) process.exitCode = 1;
say("done");
