#!/usr/bin/env node
// The command line.

const USAGE = `madang start     runs a node until it is told to stop; settings come from MADANG_… variables
madang chat      chats in the terminal: madang chat --as NAME
madang why       tells what became of a message: madang why CHANNEL MESSAGE
madang schema    makes the tables of a cluster: madang schema apply
madang nodes     lists who is in the cluster
madang shards    tells who owns which shard: madang shards [SHARD | --all]
madang move      gives a shard to another node: madang move SHARD NODE [--force]
madang drain     lets all shards leave a node: madang drain NODE
madang repair    rebuilds an inbox from the logs: madang repair inbox USER`;
const EXIT_USAGE = 2;

const [command, ...argv] = process.argv.slice(2);

// A command loads what it needs only: the chat client has no use for a server's parts.
switch (command) {
  case "start": {
    const { start } = await import("./start.ts");
    await start();
    break;
  }
  case "chat": {
    const { chat } = await import("./chat.ts");
    await chat(argv);
    break;
  }
  case "why": {
    const { why } = await import("./why.ts");
    await why(argv);
    break;
  }
  case "schema": {
    const { schema } = await import("./schema.ts");
    await schema(argv);
    break;
  }
  case "nodes": {
    const { nodes } = await import("./nodes.ts");
    await nodes(argv);
    break;
  }
  case "shards": {
    const { shards } = await import("./shards.ts");
    await shards(argv);
    break;
  }
  case "move": {
    const { move } = await import("./move.ts");
    await move(argv);
    break;
  }
  case "drain": {
    const { drain } = await import("./drain.ts");
    await drain(argv);
    break;
  }
  case "repair": {
    const { repair } = await import("./repair.ts");
    await repair(argv);
    break;
  }
  case undefined:
  case "help":
  case "--help":
  case "-h":
    process.stdout.write(`${USAGE}\n`);
    break;
  default:
    process.stderr.write(`madang: there is no command ${JSON.stringify(command)}\n${USAGE}\n`);
    process.exitCode = EXIT_USAGE;
}
