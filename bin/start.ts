// `madang start`: one node, until it is told to stop.

import pino from "pino";
import { ConfigError, resolveConfig } from "../cluster.config.ts";
import { startNode } from "../main.ts";
import { MadangError } from "../runtime/index.ts";

/** Exit codes: what a supervisor can tell apart. */
const EXIT = { wrongSetting: 2, cannotStart: 1, cutShort: 3 } as const;

export async function start(): Promise<void> {
  let config: ReturnType<typeof resolveConfig>;
  try {
    config = resolveConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`madang: ${error.message}\n`);
    process.exitCode = EXIT.wrongSetting;
    return;
  }
  const { node } = config;
  const log = pino(
    { level: node.logLevel, serializers: { error: pino.stdSerializers.err } },
    pino.destination({ dest: 2, sync: false }),
  );
  try {
    const running = await startNode(config, log);
    const stop = (signal: string) => {
      log.info({ signal }, "stopping");
      setTimeout(() => {
        log.error({ stopWithinMs: node.stopWithinMs }, "the stop took too long and was cut short");
        log.flush();
        process.exit(EXIT.cutShort);
      }, node.stopWithinMs).unref();
      running.stop().then(
        () => {
          log.info({}, "stopped");
          log.flush(() => process.exit(0));
        },
        (error: unknown) => {
          log.error({ error }, "the stop failed");
          log.flush(() => process.exit(EXIT.cannotStart));
        },
      );
    };
    process.once("SIGTERM", stop);
    process.once("SIGINT", stop);
    const { nodeId, httpUrl, wsUrl } = running;
    if (node.readyJson)
      process.stdout.write(
        `${JSON.stringify({ ready: true, node: nodeId, http: httpUrl, ws: wsUrl, pid: process.pid })}\n`,
      );
    else {
      process.stdout.write(
        `Madang is ready.\n  HTTP API   ${httpUrl}   (documentation: ${httpUrl}/docs)\n  WebSocket  ${wsUrl}\n  data       ${node.data}\n`,
      );
    }
  } catch (error) {
    const sentence = error instanceof MadangError ? `${error.code}: ${error.message}` : String(error);
    process.stderr.write(`madang: cannot start. ${sentence}\n`);
    log.debug({ error }, "cannot start");
    process.exitCode = EXIT.cannotStart;
  }
}
