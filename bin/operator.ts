// What an operator may ask of an API node, and how it is proved: by the signing key. On one node it lies beside the data; in a
// cluster with the accounts, and an API node is found among the members.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ClusterConfig, ConfigError, defaults } from "../cluster.config.ts";
import { createTokens, sharedSigningKey } from "../gateway/index.ts";
import { clusterErrors, MadangError, silentLogger, systemClock } from "../runtime/index.ts";
import { type AccountStore, openPostgresAccounts } from "../storage/accounts/index.ts";
import { lookAtCluster } from "./cluster.ts";

export interface Operator {
  /** Rejects with what the node answers. */
  ask<Answer>(path: string, body?: unknown): Promise<Answer>;
}

interface Refusal {
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly retryable: boolean;
    readonly executed: "no" | "maybe" | "yes";
  };
}

/** One node on embedded stores, by its address and its folder. */
export function operatorOfNode(server: string, folder: string): Operator {
  return operatorBy(server, readKey(folder));
}

/** Any API node of the cluster; `server` is asked instead where the members' own addresses lead nowhere from here. */
export async function operatorOfCluster(
  config: ClusterConfig,
  accounts: AccountStore,
  server: string | undefined,
): Promise<Operator> {
  const { members } = await lookAtCluster(config);
  const api = members.find(({ roles, status }) => roles.includes("api") && status === "up");
  const address = server ?? api?.httpUrl;
  if (address === undefined) throw clusterErrors.NO_SUCH_NODE({ message: "no node of the cluster has the role api" });
  return operatorBy(address, await sharedSigningKey(accounts));
}

export function openAccounts({ postgres }: ClusterConfig): Promise<AccountStore> {
  const { url, ...settings } = postgres;
  if (url === "") throw new ConfigError("DATABASE_URL is not set: the key of the cluster is kept with the accounts.");
  return openPostgresAccounts({ url, clock: systemClock, log: silentLogger, settings });
}

function operatorBy(server: string, key: Uint8Array): Operator {
  const tokens = createTokens(key, systemClock, defaults.http);
  return {
    async ask<Answer>(path: string, body?: unknown) {
      const authorization = `Bearer ${await tokens.issueOperator()}`;
      const post = {
        method: "POST",
        body: JSON.stringify(body),
        headers: { authorization, "content-type": "application/json" },
      };
      const response = await fetch(server + path, body === undefined ? { headers: { authorization } } : post).catch(
        (cause: unknown) => {
          throw clusterErrors.NO_SUCH_NODE({ message: `nobody answers at ${server}`, cause });
        },
      );
      const answer = (await response.json()) as Answer & Refusal;
      if (answer.error === undefined) return answer;
      const { code, message, retryable, executed } = answer.error;
      throw new MadangError(code, { retryable, executed, sentence: message });
    },
  };
}

function readKey(folder: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(join(folder, "signing.key")));
  } catch {
    throw new ConfigError(`There is no data of a node in ${folder}: name its folder with --data.`);
  }
}
