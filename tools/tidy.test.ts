import { describe, expect, it } from "vitest";
import { checkFile } from "./tidy.ts";

const rules = (file: string, text: string) => checkFile(file, text).map((violation) => violation.rule);

describe("a planted violation is found", () => {
  it.each([
    [
      "the runtime that has heard of chat",
      "runtime/node.ts",
      'import { chatDefaults } from "../actors/index.ts";',
      "boundary",
    ],
    [
      "a gateway that reads the log",
      "gateway/socket/server.ts",
      'import { openEmbeddedStores } from "../../storage/index.ts";',
      "boundary",
    ],
    [
      "an SDK that imports the server",
      "client/session.ts",
      'import { systemClock } from "../runtime/index.ts";',
      "boundary",
    ],
    [
      "a client for services that imports the server",
      "client/service/nats.ts",
      'import { connectNats } from "../../runtime/index.ts";',
      "boundary",
    ],
    [
      "an SDK for browsers that imports the client for services",
      "client/client.ts",
      'import { createService } from "./service/index.ts";',
      "boundary",
    ],
    ["a contract that imports code", "proto/codec.ts", 'import { assert } from "../runtime/index.ts";', "boundary"],
    [
      "a room entered by the window",
      "actors/user/user.ts",
      'import { LocalFence } from "../../storage/fence/local.ts";',
      "door",
    ],
    ["an inner room entered by the window", "main.ts", 'import x from "./storage/index.ts";\nDate.now();', "clock"],
    ["a clock that is read", "actors/channel/channel.ts", "const now = Date.now();", "clock"],
    ["a wait", "storage/kv/commits.ts", "setTimeout(() => {}, 5);", "clock"],
    ["dice", "client/backoff.ts", "return Math.random();", "clock"],
    ["work put off", "actors/user/user.ts", `// TO${"DO"}: later`, "note"],
  ])("%s", (_what, file, text, rule) => {
    expect(rules(file, text)).toEqual([rule]);
  });
});

describe("what is allowed is not reported", () => {
  it.each([
    ["a door", "actors/user/user.ts", 'import { stamp } from "../../runtime/index.ts";'],
    ["a neighbour in the same room", "actors/user/user.ts", 'import { Sessions } from "./sessions.ts";'],
    [
      "the accounts, for the edge",
      "gateway/http/server.ts",
      'import type { AccountStore } from "../../storage/accounts/index.ts";',
    ],
    ["the contract, for the SDK", "client/session.ts", 'import { ClientFrame } from "../proto/client.ts";'],
    [
      "the contracts between nodes, for the client for services",
      "client/service/calls.ts",
      'import { Batch } from "../../proto/index.ts";',
    ],
    ["what the client for services shares with the SDK", "client/service/calls.ts", 'import { x } from "../ports.ts";'],
    ["the port of time", "runtime/clock.ts", "monotonicMs: () => performance.now(),"],
    ["a word in a comment", "actors/user/user.ts", "// never Date.now() here"],
  ])("%s", (_what, file, text) => {
    expect(rules(file, text)).toEqual([]);
  });
});
