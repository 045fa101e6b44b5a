// `madang why CHANNEL MESSAGE`: what became of one message. For the operator: it needs the data folder of the node.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { defaults } from "../cluster.config.ts";
import { createTokens } from "../gateway/index.ts";
import { systemClock } from "../runtime/index.ts";

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

const usage = "usage: madang why CHANNEL MESSAGE [--server http://127.0.0.1:8080] [--data ./.madang]\n";

export async function why(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { server: { type: "string" }, data: { type: "string" } },
  });
  const [channelId, message] = positionals;
  const messageId = Number(message);
  if (channelId === undefined || !(messageId > 0)) {
    process.stderr.write(usage);
    process.exitCode = 2;
    return;
  }
  const folder = values.data ?? process.env.MADANG_DATA ?? defaults.node.data;
  const server = values.server ?? `http://127.0.0.1:${process.env.MADANG_HTTP_PORT ?? defaults.node.httpPort}`;
  const token = await createTokens(readKey(folder), systemClock, defaults.http).issueOperator();
  const response = await fetch(`${server}/ops/why/${channelId}/${messageId}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const answer = (await response.json()) as Way & {
    readonly error?: { readonly code: string; readonly message: string };
  };
  if (answer.error !== undefined) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  process.stdout.write(describe(channelId, messageId, answer));
}

function readKey(folder: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(join(folder, "signing.key")));
  } catch (cause) {
    throw new Error(`there is no data of a node in ${folder}: name its folder with --data`, { cause });
  }
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
