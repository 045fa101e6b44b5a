// `madang why CHANNEL MESSAGE`: what became of one message. For the operator: it needs the data folder of a single node, or, where
// MADANG_CLUSTER is set, what a node of the cluster is started with.

import { parseArgs } from "node:util";
import { defaults, resolveConfig } from "../cluster.config.ts";
import { runCommand } from "./cluster.ts";
import { type Operator, openAccounts, operatorOfCluster, operatorOfNode } from "./operator.ts";

interface DeviceWay {
  readonly deviceId: number;
  readonly attached: boolean;
  readonly pushed: boolean;
  readonly deliveredId: number;
}

interface MemberWay {
  readonly userId: number;
  readonly name: string;
  readonly confirmed: boolean;
  readonly pointerId: number;
  readonly pointerVersion: number;
  readonly pointerDurable: boolean;
  readonly readId: number;
  readonly devices: readonly DeviceWay[];
}

interface Way {
  readonly kept: {
    readonly author: number;
    readonly producer: number;
    readonly number: number;
    readonly timeMs: number;
    readonly bytes: number;
  } | null;
  readonly settledId: number;
  readonly fannedOutId: number;
  readonly members: readonly MemberWay[];
}

const usage = `usage: madang why CHANNEL MESSAGE [--server http://127.0.0.1:8080] [--data ./.madang]
In a cluster (MADANG_CLUSTER) an API node is found by itself, and --data is not needed.
`;

export function why(args: readonly string[]): Promise<void> {
  return runCommand("why", usage, async () => {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { server: { type: "string" }, data: { type: "string" } },
    });
    const [channelId, message] = positionals;
    const messageId = Number(message);
    if (channelId === undefined || !(messageId > 0)) return undefined;
    const ask = ({ ask }: Operator) => ask<Way>(`/ops/why/${encodeURIComponent(channelId)}/${messageId}`);
    const config = resolveConfig(process.env);
    if (config.cluster.name === "") {
      const folder = values.data ?? process.env.MADANG_DATA ?? defaults.node.data;
      const server = values.server ?? `http://127.0.0.1:${process.env.MADANG_HTTP_PORT ?? defaults.node.httpPort}`;
      return describe(channelId, messageId, await ask(operatorOfNode(server, folder)));
    }
    const accounts = await openAccounts(config);
    try {
      return describe(channelId, messageId, await ask(await operatorOfCluster(config, accounts, values.server)));
    } finally {
      await accounts.close();
    }
  });
}

export function describe(channelId: string, messageId: number, { kept, settledId, fannedOutId, members }: Way): string {
  if (kept === null) return `${channelId} has no message ${messageId}; its last is ${settledId}.\n`;
  const { author, producer, number, timeMs, bytes } = kept;
  const lines = [
    `${channelId} #${messageId}`,
    `  kept        ${new Date(timeMs).toISOString()}, ${bytes} bytes, from user ${author} as number ${number} of producer ${producer}`,
    `  fanned out  ${fannedOutId >= messageId ? "to all: every pointer is durable" : `not yet to all (done up to #${fannedOutId})`}`,
    "",
  ];
  for (const member of members) lines.push(...describeMember(member, messageId));
  return `${lines.join("\n")}\n`;
}

function describeMember(member: MemberWay, messageId: number): string[] {
  const { userId, name, confirmed, pointerId, pointerVersion, pointerDurable, readId, devices } = member;
  const pointer =
    pointerId < messageId
      ? "pointer not written yet"
      : `pointer at #${pointerId}, version ${pointerVersion}${pointerDurable ? ", durable" : ", on its way to the disk"}`;
  const read = readId >= messageId ? "read" : "not read";
  const lines = [`  ${name || userId}: ${pointer}${confirmed ? ", confirmed" : ""}; ${read}`];
  for (const { deviceId, attached, pushed, deliveredId } of devices) {
    const got = deliveredId >= messageId ? "acknowledged" : pushed ? "handed to its socket" : "not reached";
    lines.push(`    device ${deviceId} (${attached ? "connected" : "away"}): ${got}`);
  }
  if (devices.length === 0) lines.push("    no device has been seen here");
  return lines;
}
