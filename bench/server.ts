// One Madang node, to be measured. All settings come from the environment, as for `madang start`.

import { resolveConfig } from "../cluster.config.ts";
import { startNode } from "../main.ts";
import { silentLogger } from "../runtime/index.ts";
import { beMeasured } from "./processes.ts";

const running = await startNode(resolveConfig(process.env), silentLogger);
beMeasured({ http: running.httpUrl, port: Number(new URL(running.wsUrl).port) }, () => running.stop());
