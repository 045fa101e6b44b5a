import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readArguments, wholeNumber } from "./arguments.ts";

const usage = "usage: make something\n";
const options = { pairs: { type: "string" }, print: { type: "boolean" } } as const;

describe("the command line of a program behind the Makefile", () => {
  const typed = process.argv;
  let said: string;
  beforeEach(() => {
    said = "";
    const say = (text: unknown) => {
      said += text;
      return true;
    };
    vi.spyOn(process.stdout, "write").mockImplementation(say);
    vi.spyOn(process.stderr, "write").mockImplementation(say);
    vi.spyOn(process, "exit").mockImplementation((code) => {
      throw new Error(`exit ${code}`);
    });
  });
  afterEach(() => {
    process.argv = typed;
    vi.restoreAllMocks();
  });
  const read = (...argv: string[]) => {
    process.argv = ["node", "main.js", ...argv];
    return readArguments(usage, options, ["calls", "nodes"]);
  };

  it("is options and names", () => {
    const { values, positionals } = read("nodes", "--print", "--pairs", "3");
    expect({ ...values, positionals }).toEqual({ print: true, pairs: "3", positionals: ["nodes"] });
    expect(wholeNumber(usage, "pairs", values.pairs, 7)).toBe(3);
    expect(wholeNumber(usage, "pairs", undefined, 7)).toBe(7);
  });

  it("asked for help says how it is used, and ends well", () => {
    expect(() => read("nodes", "--help")).toThrow("exit 0");
    expect(said).toBe(usage);
  });

  it.each([
    [["--fast"], "Unknown option '--fast'"],
    [["--pairs"], "argument missing"],
    [["latency"], "latency is not known here"],
  ])("%j is refused with the reason and the usage", (argv, reason) => {
    expect(() => read(...argv)).toThrow("exit 2");
    expect(said).toContain(reason);
    expect(said).toContain(usage);
  });

  it.each(["0", "-1", "two", "1.5"])("takes no %s for a number of pairs", (text) => {
    expect(() => wholeNumber(usage, "pairs", text, 7)).toThrow("exit 2");
    expect(said).toContain(`--pairs takes a whole number, 1 or more, not ${text}`);
  });
});
