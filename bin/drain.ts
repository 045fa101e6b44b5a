// `madang drain NODE`: all shards leave the node, and it takes no new ones and no new sessions. It stays up; stop it when this
// command says that it is empty.

import { parseArgs } from "node:util";
import { findNode, order, runCommand } from "./cluster.ts";

const usage = "usage: madang drain NODE\n";

export function drain(args: readonly string[]): Promise<void> {
  return runCommand("drain", usage, async () => {
    const { positionals } = parseArgs({ args: [...args], allowPositionals: true, options: {} });
    const [name] = positionals;
    if (name === undefined || positionals.length > 1) return undefined;
    let target = "";
    await order({ drain: {} }, (state) => {
      target = findNode(state, name);
      return target;
    });
    return `${target} owns no shard any more\n`;
  });
}
