// `madang move SHARD NODE`: gives a shard to another node. By hand-off, so that nothing is refused for longer than a moment;
// with --force without asking the owner, as after a crash.

import { parseArgs } from "node:util";
import { findNode, order, runCommand } from "./cluster.ts";

const usage = "usage: madang move SHARD NODE [--force]\n";

export function move(args: readonly string[]): Promise<void> {
  return runCommand("move", usage, async () => {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { force: { type: "boolean" } },
    });
    const [text, name] = positionals;
    const shard = Number(text);
    if (text === undefined || name === undefined || positionals.length > 2 || !Number.isInteger(shard) || shard < 0)
      return undefined;
    let target = "";
    await order({ move: { shard, to: name, force: values.force === true } }, (state) => {
      target = findNode(state, name);
      return state.coordinator.nodeId;
    });
    return `shard ${shard} belongs to ${target}\n`;
  });
}
