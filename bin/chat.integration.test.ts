import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commandLine, type NodeProcess, startNodeProcess } from "../tools/demo/node-process.ts";

let folder: string;
let node: NodeProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "madang-chat-"));
  node = await startNodeProcess({ folder: join(folder, "node") });
});
afterAll(async () => {
  await node?.kill();
  await rm(folder, { recursive: true });
});

class Person {
  readonly #child: ChildProcessWithoutNullStreams;
  #output = "";
  #heard: () => void = () => {};

  constructor(name: string, ...flags: string[]) {
    const state = join(folder, name);
    const args = commandLine("chat", "--as", name, "--server", node.httpUrl, "--state", state, ...flags);
    this.#child = spawn(process.execPath, args, { env: { ...process.env, MADANG_PASSWORD: "a good password" } });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on("data", (bytes: Buffer) => {
        this.#output += bytes.toString();
        this.#heard();
      });
    }
  }

  type(...lines: string[]): void {
    for (const line of lines) this.#child.stdin.write(`${line}\n`);
  }

  /** Resolves when the text is on the screen. */
  async sees(text: string): Promise<void> {
    while (!this.#output.includes(text)) {
      if (this.#child.exitCode !== null) throw new Error(`ended without ${JSON.stringify(text)}: ${this.#output}`);
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
        this.#child.once("exit", () => resolve());
      });
    }
  }

  async ends(): Promise<number | null> {
    this.#child.stdin.end();
    if (this.#child.exitCode === null) await once(this.#child, "exit");
    return this.#child.exitCode;
  }

  get screen(): string {
    return this.#output;
  }
}

describe("madang chat", () => {
  it("two people sign up, find each other and talk, in several lines, too", async () => {
    const alice = new Person("alice", "--sign-up");
    const bob = new Person("bob", "--sign-up");
    await Promise.all([alice.sees("/help tells"), bob.sees("/help tells")]);
    alice.type("/dm bob", "hello \\", "there", "/paste", "one", "two", ".");
    await alice.sees("two");
    bob.type("/list");
    await bob.sees("alice (2 new)");
    bob.type("/open 1", "hi 안녕", "/who");
    await bob.sees("alice: one");
    await alice.sees("bob: hi 안녕");
    await bob.sees("· alice"); // only friends see whether somebody is there
    alice.type("/friend bob");
    await alice.sees("bob is asked");
    bob.type("/friend alice");
    await bob.sees("alice is a friend");
    bob.type("/who");
    await bob.sees("● alice");
    expect(bob.screen).toMatch(/hello \n +there/);
    expect(await Promise.all([alice.ends(), bob.ends()])).toEqual([0, 0]);
  });

  it("what is piped in arrives, and the next start needs no password", async () => {
    const carol = new Person("carol", "--sign-up");
    carol.type("/dm alice", "piped", "/quit");
    expect(await carol.ends()).toBe(0);
    const again = new Person("carol", "--password", "wrong, and not needed");
    again.type("/dm alice");
    await again.sees("carol: piped");
    expect(await again.ends()).toBe(0);
  });

  it("an account is not made unless somebody says so", async () => {
    const dave = new Person("dave");
    dave.type("n");
    expect(await dave.ends()).toBe(1);
    expect(dave.screen).toContain("not logged in: no account dave has this password");
  });

  it("a name that cannot be one is answered with what is expected", async () => {
    const nobody = new Person("../../etc");
    expect(await nobody.ends()).toBe(2);
    expect(nobody.screen).toContain("--as NAME");
  });
});
