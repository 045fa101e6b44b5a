import { describe, expect, test } from "vitest";
import { parseArguments } from "./arguments.ts";

describe("the command line of the services", () => {
  test("asks for everything and stays in the foreground when nothing is said", () => {
    expect(parseArguments([])).toEqual({
      help: false,
      only: ["nats", "consul", "cassandra", "postgres"],
      cassandraNodes: 3,
      natsServers: 1,
      fixedPorts: false,
      provisionOnly: false,
      dataFolder: undefined,
      command: [],
    });
  });

  test("leaves what follows -- to the command, also when it looks like options", () => {
    const { only, command, fixedPorts } = parseArguments([
      "--only",
      "nats,consul",
      "--",
      "vitest",
      "--fixed",
      "--",
      "x",
    ]);
    expect({ only, command, fixedPorts }).toEqual({
      only: ["nats", "consul"],
      command: ["vitest", "--fixed", "--", "x"],
      fixedPorts: false,
    });
  });

  test.each([
    [["--only", "nats,kafka"], "there is no engine kafka"],
    [["--cassandra", "2"], "--cassandra takes 1 or 3, not 2"],
    [["--nats", "2"], "--nats takes 1 or 3, not 2"],
    [["--"], "-- is followed by a command"],
    [["--fast"], "Unknown option '--fast'"],
    [["nats"], "Unexpected argument 'nats'"],
  ])("refuses %j", (argv, sentence) => {
    expect(() => parseArguments(argv)).toThrow(sentence);
  });
});
