// `madang repair inbox USER`: makes the inbox of a user whole again out of the logs of the channels. Nothing leads from a user to
// the channels but the inbox itself, so all of them are looked at: a 1:1 names its two, and a group is asked. People may chat
// meanwhile. A channel that the person has left does not come back, nor how far the person had read.

import { parseArgs } from "node:util";
import { ringAddress } from "../assembly/addresses.ts";
import { ConfigError, resolveConfig } from "../cluster.config.ts";
import { parseChannelId } from "../proto/index.ts";
import { MadangError } from "../runtime/index.ts";
import type { AccountStore } from "../storage/accounts/index.ts";
import { listChannels } from "../storage/index.ts";
import { runCommand } from "./cluster.ts";
import { type Operator, openAccounts, operatorOfCluster } from "./operator.ts";

const usage = `usage: madang repair inbox USER [--server URL]
USER is a name, or the number of a user.
`;

/** Shards move, and nodes and the ring are busy: what was not read, and a part that was not repaired, are asked for again. */
const TRIES = 10;
const PAUSE_MS = 1_000;
const TOLD_EVERY_MS = 2_000;

interface Repaired {
  readonly repaired: number;
  readonly standing: number;
}

export function repair(args: readonly string[]): Promise<void> {
  return runCommand("repair", usage, async () => {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { server: { type: "string" } },
    });
    const [what, user] = positionals;
    if (what !== "inbox" || user === undefined || positionals.length > 2) return undefined;
    const config = resolveConfig(process.env);
    if (config.cluster.name === "") {
      throw new ConfigError("MADANG_CLUSTER is not set: the data of a single node is one file, restored as one.");
    }
    const accounts = await openAccounts(config);
    try {
      const userId = await findUser(accounts, user);
      const operator = await operatorOfCluster(config, accounts, values.server);
      const ring = { ...ringAddress(config), settings: { ...config.storage, readAttemptsMax: TRIES } };
      return await repairInbox(userId, operator, listChannels(ring), config.http.repairChannelsMax);
    } finally {
      await accounts.close();
    }
  });
}

async function findUser(accounts: AccountStore, user: string): Promise<number> {
  const found = await accounts.profileByName(user);
  if (found !== undefined) return found.userId;
  if (/^\d+$/.test(user) && (await accounts.userExists(Number(user)))) return Number(user);
  throw new ConfigError(`There is no user ${user}.`);
}

async function repairInbox(
  userId: number,
  operator: Operator,
  channels: AsyncIterable<string>,
  atOnce: number,
): Promise<string> {
  const sum = { looked: 0, asked: 0, repaired: 0, standing: 0 };
  let toldAtMs = performance.now();
  let part: string[] = [];
  const ask = async () => {
    if (part.length === 0) return;
    const { repaired, standing } = await insist(() =>
      operator.ask<Repaired>(`/ops/repair/inbox/${userId}`, { channelIds: part }),
    );
    sum.asked += part.length;
    sum.repaired += repaired;
    sum.standing += standing;
    part = [];
  };
  for await (const channelId of channels) {
    sum.looked += 1;
    if (mayConcern(channelId, userId)) part.push(channelId);
    if (part.length === atOnce) await ask();
    if (performance.now() - toldAtMs < TOLD_EVERY_MS) continue;
    toldAtMs = performance.now();
    process.stderr.write(`${sum.looked} channels looked at, ${sum.repaired} pointers repaired so far\n`);
  }
  await ask();
  const { looked, asked, repaired, standing } = sum;
  return (
    `inbox of user ${userId}: ${repaired} pointers repaired, ${standing} stood as they should\n` +
    `${looked} channels looked at, ${asked} of them asked\n`
  );
}

function mayConcern(channelId: string, userId: number): boolean {
  const name = parseChannelId(channelId);
  return name?.kind === "group" || (name?.kind === "direct" && name.users.includes(userId));
}

async function insist<T>(task: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof MadangError && error.retryable) || tries === TRIES) throw error;
      process.stderr.write(`${error.code}: ${error.message} Again in ${PAUSE_MS / 1_000} s.\n`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
