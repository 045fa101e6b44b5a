import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { startNodes } from "../../client/service/nodes.test-rig.ts";
import { pause, systemClock } from "../../runtime/index.ts";

it("the service in TypeScript announces, looks who is there, and follows until it is stopped", async () => {
  const url = process.env.NATS_URL ?? "";
  const nodes = await startNodes({ url, allowed: ["bot:Channel.*", "bot:Presence.ask"] });
  await nodes.post("d1.2", 1, 1, "hello");
  nodes.beat(1);
  const program = fileURLToPath(new URL("service.ts", import.meta.url));
  const environment = { ...process.env, NATS_URL: url, MADANG_CLUSTER: nodes.cluster };
  const child = spawn(process.execPath, ["--import", "tsx", program, "d1.2"], {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => said.push(line));
  const ended = once(child, "close");
  while (said.length < 4 && child.exitCode === null) await pause(systemClock, 10);
  await nodes.post("d1.2", 1, 2, "bye");
  while (said.length < 5 && child.exitCode === null) await pause(systemClock, 10);
  child.kill("SIGINT");
  expect(await ended).toEqual([0, null]);
  expect(said).toEqual(["kept as 2", "user 1 is there", "1: hello", "2: Maintenance at ten.", "3: bye"]);
  await nodes.close();
});
