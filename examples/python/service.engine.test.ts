// The Python example, as its README runs it, on a server with permissions, and on nodes that come and go.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Nodes, openWay, startNodes } from "../../client/service/nodes.test-rig.ts";
import { cluster, type PermittedNats, startPermittedNats } from "../../client/service/permitted.test-rig.ts";
import { pause, systemClock } from "../../runtime/index.ts";
import { findPython, folder, generate } from "./venv.test-rig.ts";

const allowed = ["announce", "follow", "unfollow", "history"].map((method) => `bot:Channel.${method}`);

let python = "";
let server: PermittedNats;
let nodes: Nodes;
let outbox = "";
let temporary = "";
beforeAll(async () => {
  python = await findPython();
  await generate(python);
  server = await startPermittedNats();
  const credentials = { user: "node", password: server.passwords.node };
  nodes = await startNodes({ url: server.url, cluster, allowed: [...allowed, "bot:Presence.ask"], credentials });
  temporary = await mkdtemp(join(tmpdir(), "madang-python-"));
  outbox = join(temporary, "outbox.json");
}, 300_000); // a first run builds the server and fetches the packages
afterAll(async () => {
  await nodes?.close();
  await server?.stop();
  if (temporary !== "") await rm(temporary, { recursive: true });
});

interface Running {
  readonly child: ChildProcess;
  /** What it has said. */
  readonly said: Record<string, unknown>[];
  readonly ended: Promise<{ readonly code: number; readonly errors: string }>;
}

function start(args: readonly string[], user: "bot" | "auditor" = "bot", url = server.url): Running {
  const environment = {
    ...process.env,
    NATS_URL: url,
    MADANG_CLUSTER: cluster,
    SERVICE_NAME: user,
    NATS_USER: user,
    NATS_PASSWORD: server.passwords[user],
  };
  const child = spawn(python, ["service.py", ...args], { cwd: folder, env: environment });
  const said: Record<string, unknown>[] = [];
  let errors = "";
  createInterface({ input: child.stdout }).on("line", (line) => said.push(JSON.parse(line)));
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  return { child, said, ended: once(child, "close").then(([code]) => ({ code: code as number, errors })) };
}

async function run(args: readonly string[], user?: "bot" | "auditor") {
  const running = start(args, user);
  return { ...(await running.ended), said: running.said };
}

it("posts a system message, and keeps it once also when its last life ended before it knew", async () => {
  await nodes.post("d1.2", 1, 1, "hello");
  const announce = (text: string) => run(["announce", "d1.2", text, "--outbox", outbox]);
  expect(await announce("Maintenance at ten.")).toMatchObject({ code: 0, said: [{ channelId: "d1.2", messageId: 2 }] });
  const state = JSON.parse(await readFile(outbox, "utf8"));
  const waiting = { channel_id: "d1.2", number: 1, text: "Maintenance at ten." };
  await writeFile(outbox, JSON.stringify({ ...state, numbers: {}, waiting }));
  const { said, errors } = await announce("It is over.");
  expect(errors).toBe("");
  expect(said).toMatchObject([{ messageId: 2 }, { messageId: 3 }]);
});

it("reads whether a person is there", async () => {
  nodes.beat(71);
  await pause(systemClock, 50);
  expect((await run(["presence", "71"])).said).toMatchObject([{ userId: 71, state: "ONLINE" }]);
  expect((await run(["presence", "72"])).said).toMatchObject([{ userId: 72, state: "OFFLINE" }]);
});

it("is refused, and says so, when it may not call a method, and when a channel does not exist", async () => {
  const notAllowed = await run(["presence", "71"], "auditor");
  expect(notAllowed).toMatchObject({ code: 1, said: [], errors: expect.stringContaining("SERVICE_NOT_ALLOWED") });
  const nowhere = await run(["announce", "g404", "hello?", "--outbox", join(temporary, "other.json")]);
  expect(nowhere).toMatchObject({ code: 1, errors: expect.stringContaining("NO_SUCH_CHANNEL") });
});

it("reads a page of history that is larger than one message of NATS", async () => {
  const long = "漢".repeat(68_400);
  for (let number = 1; number <= 6; number++) await nodes.post("d1.6", 1, number, long);
  const { said, code } = await run(["follow", "d1.6", "--count", "6"]);
  expect(code).toBe(0);
  expect(said.map(({ text }) => (text as string).length)).toEqual(Array.from({ length: 6 }, () => 68_400));
});

it("goes on following when NATS was away, and asks at once for what it missed", async () => {
  const channelId = "d1.7";
  await nodes.post(channelId, 1, 1, "m1");
  const way = await openWay(server.url);
  const following = start(["follow", channelId, "--count", "4"], "bot", way.url);
  while (following.said.length < 1) await pause(systemClock, 10);
  way.cut();
  for (const number of [2, 3]) await nodes.post(channelId, 1, number, `m${number}`);
  await pause(systemClock, 500);
  const healedAtMs = systemClock.monotonicMs();
  way.heal();
  while (following.said.length < 3) await pause(systemClock, 10);
  expect(systemClock.monotonicMs() - healedAtMs).toBeLessThan(4_000); // the next renewal would be later
  await nodes.post(channelId, 1, 4, "m4");
  expect((await following.ended).code).toBe(0);
  expect(following.said.map(({ text }) => text)).toEqual(["m1", "m2", "m3", "m4"]);
  await way.close();
});

it("follows a channel: each entry once and in order, while its owner changes as planned, unplanned, and by dying", async () => {
  const channelId = "d1.9";
  for (let number = 1; number <= 5; number++) await nodes.post(channelId, 1, number, `m${number}`);
  const count = 60;
  const following = start(["follow", channelId, "--after", "2", "--count", String(count - 2)]);
  const other = () => nodes.alive.find((name) => name !== nodes.ownerOf(channelId)) as string;
  while (following.said.length < 3) await pause(systemClock, 10);
  for (let number = 6; number <= count; number++) {
    if (number === 20) await nodes.move(channelId, other());
    if (number === 35) nodes.seize(channelId, other());
    if (number === 50) await nodes.kill(nodes.ownerOf(channelId));
    await nodes.post(channelId, 1, number, `m${number}`);
  }
  expect(await following.ended).toEqual({ code: 0, errors: "" });
  const facts = following.said.map(({ messageId, text }) => `${messageId} ${text}`);
  expect(facts).toEqual(Array.from({ length: count - 2 }, (_, at) => `${at + 3} m${at + 3}`));
});
