// A process for the tests to kill: opens a folder, appends without pause, and reports what it was told is settled.

import { systemClock } from "../../runtime/index.ts";
import { openEmbeddedStores } from "./stores.ts";

const CHANNELS = 20;
const [folder = ""] = process.argv.slice(2);
const report = (message: object) => process.send?.(message);

// Small segments, so that a kill also meets rotation and sinking.
const stores = await openEmbeddedStores({ folder, clock: systemClock, settings: { checkpointBytes: 50_000 } });
const tenure = { shard: 1, epoch: stores.bootEpoch };
await stores.fence.claim(tenure);
for (let channel = 0; channel < CHANNELS; channel++) {
  const channelId = `g${channel}`;
  const more = () => log.append(Buffer.from(`${channelId} ${log.tail + 1} `.padEnd(200, "x")));
  const log = await stores.logs.open(channelId, tenure, {
    onSettled(through) {
      report({ channelId, through });
      more();
      if (through % 3 === 0) more();
    },
    onLost: (error) => report({ error: error.message }),
  });
  more();
}
report({ ready: process.pid });
