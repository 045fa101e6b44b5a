// Internal services against a cluster whose NATS knows its users: the client in TypeScript and the example in Python, while the
// owner of what they follow dies.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createService, newProducer, PresenceState, type Service, ServiceError } from "../../client/service/index.ts";
import { findPython, generate } from "../../examples/python/venv.test-rig.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import type { Device } from "../../tools/demo/person.ts";
import { startServices } from "../../tools/services/index.ts";
import { type Chatter, gather, stateArrival, statePromises, until } from "./chatter.ts";
import { ms } from "./nodes.ts";
import { type NatsUser, natsPermissions, PERMITTED_CLUSTER, root, withUser } from "./permissions.ts";
import type { Scenario, World } from "./scenario.ts";
import { type Seat, takeSeat } from "./seat.ts";

const ALLOWED = [
  ...["announce", "follow", "unfollow", "history"].map((method) => `bot:Channel.${method}`),
  "bot:Presence.ask",
  "auditor:Presence.ask",
].join(",");
const SETTLED_MS = 60_000;
const FOLLOWED_WITHIN_MS = 30_000;

interface Stage {
  readonly world: World;
  readonly cluster: Cluster;
  readonly seat: Seat;
  readonly chatter: Chatter;
  readonly url: string;
  readonly passwords: Readonly<Record<NatsUser, string>>;
  readonly python: string;
  readonly folder: string;
}

export const services: Scenario = {
  name: "internal services, in TypeScript and in Python, behind users and allow-lists",
  withinMs: 300_000,
  async run(world) {
    const { natsConfig, passwords } = await natsPermissions();
    const own = await startServices({ only: ["nats"], given: {}, natsConfig });
    const url = own.environment.NATS_URL ?? "";
    const pythonFolder = join(root, "examples/python");
    const python = await findPython(pythonFolder);
    await generate(python, pythonFolder);
    const folder = await mkdtemp(join(tmpdir(), "madang-services-test-"));
    const cluster = await world.cluster(
      { actors: 2, gateways: 1, pushers: 1 },
      {
        MADANG_CLUSTER: PERMITTED_CLUSTER,
        NATS_URL: withUser(url, "node", passwords.node),
        MADANG_RUNTIME_SERVICES_ALLOWED: ALLOWED,
      },
    );
    const seat = await takeSeat(cluster.settings);
    const chatter = await gather({ cluster, pairs: 2, everyMs: 200, groupEvery: 2 });
    const stage = { world, cluster, seat, chatter, url, passwords, python, folder };
    try {
      await serve(stage);
      const violationsIn = async () =>
        (await readFile(own.nats[0]?.logFile ?? "", "utf8")).split("\n").filter((line) => line.includes("Violation"));
      const violations = await violationsIn();
      world.fact(
        violations.length === 0,
        `the allow-lists permit all that nodes and services do${violations.length === 0 ? "" : `, but for ${violations[0]}`}`,
      );
      await refuse(stage);
      world.fact((await violationsIn()).length > 0, "NATS writes down what they do not permit");
    } finally {
      await chatter.close();
      await seat.close();
      await cluster.stop(); // before what it stands upon
      await own.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

// ---- what they may

async function serve(stage: Stage): Promise<void> {
  const { world, cluster, seat, chatter } = stage;
  const { fact } = world;
  const bot = await open(stage, "bot", "bot");
  const followed: number[] = [];
  try {
    const [person] = chatter.devices as [Device];
    const channel = bot.channel(chatter.group);
    const producer = newProducer();
    const first = await channel.announce({ producer, number: 1, text: "Maintenance at ten." });
    const again = await channel.announce({ producer, number: 1, text: "Maintenance at ten." });
    fact(first.messageId === again.messageId, `announce: kept as ${first.messageId}, and once when it is sent twice`);
    const { state } = await bot.presence(person.userId).ask();
    const nobody = await bot.presence(1).ask();
    fact(
      state === PresenceState.ONLINE && nobody.state !== PresenceState.ONLINE,
      "presence: who is connected is online, who is not is not",
    );
    const following = channel.follow(0, (entries) => void followed.push(...entries.map(({ messageId }) => messageId)));
    const inPython = runPython(stage, ["follow", chatter.group, "--after", "0"], "bot");
    const announced = await endOf(
      runPython(
        stage,
        ["announce", chatter.group, "It is over.", "--outbox", join(stage.folder, "outbox.json")],
        "bot",
      ),
    );
    fact(
      announced.code === 0,
      `the example in Python announces: ${JSON.stringify(announced.said[0])}${announced.errors}`,
    );
    const asked = await endOf(runPython(stage, ["presence", String(person.userId)], "bot"));
    fact(asked.said[0]?.state === "ONLINE", `and sees who is there: ${JSON.stringify(asked.said[0])}${asked.errors}`);

    chatter.talk();
    await until("both follow", () => followed.length > 5 && inPython.said.length > 5, FOLLOWED_WITHIN_MS);
    const owner = seat.ownerOf(seat.shardOf(chatter.group));
    const killedMs = performance.now();
    await cluster.node(owner).kill();
    const [atKill, atKillInPython] = [followed.length, inPython.said.length];
    await until(
      "both follow the next owner",
      () => followed.length > atKill + 5 && inPython.said.length > atKillInPython + 5,
      FOLLOWED_WITHIN_MS,
    );
    fact(
      true,
      `${owner}, the owner of the channel, is killed: both are told of what came after ${ms(performance.now() - killedMs)}`,
    );
    await cluster.start(owner, "actors");
    await stateArrival(world, chatter, SETTLED_MS);
    const { lastId } = await seat.channels(chatter.group).describe({ userId: 0 });
    const heard = () => inPython.said.map(({ messageId }) => Number(messageId));
    await until(
      "both have all",
      () => followed.at(-1) === lastId && heard().at(-1) === lastId,
      FOLLOWED_WITHIN_MS,
    ).catch(() => undefined);
    const dense = (ids: readonly number[]) => ids.length === lastId && ids.every((id, at) => id === at + 1);
    fact(dense(followed), `follow: ${followed.length} of ${lastId} entries, each once and in order`);
    fact(dense(heard()), `in Python: ${heard().length} of ${lastId} entries, each once and in order`);
    await following.stop();
    inPython.child.kill("SIGINT");
    await inPython.ended;
    await statePromises(world, chatter);
  } finally {
    await bot.close();
  }
}

// ---- what they may not

async function refuse(stage: Stage): Promise<void> {
  const { world, cluster, chatter } = stage;
  const { fact } = world;
  const auditor = await open(stage, "auditor", "auditor");
  const code = (promise: Promise<unknown>) =>
    promise.then(
      () => "no error",
      (error: unknown) =>
        error instanceof ServiceError ? `${error.code}, executed: ${error.executed}` : String(error),
    );
  const history = await code(auditor.channel(chatter.group).history());
  fact(history === "SERVICE_NOT_ALLOWED, executed: no", `a method that is not on the service's list: ${history}`);
  await auditor.close();
  const announced = await endOf(
    runPython(stage, ["announce", chatter.group, "hello?", "--outbox", join(stage.folder, "other.json")], "auditor"),
  );
  fact(
    announced.code === 1 && announced.errors.includes("SERVICE_NOT_ALLOWED"),
    `the same in Python: exit ${announced.code}, ${announced.errors.trim().split("\n").at(-1)}`,
  );
  const metrics = await Promise.all(
    [...cluster.nodes.values()].map(async ({ httpUrl }) => (await fetch(`${httpUrl}/metrics`)).text()),
  );
  const counted = metrics
    .map((text) => Number(/^madang_mail_services_refused_total (\d+)/m.exec(text)?.[1]))
    .reduce((sum, count) => sum + count, 0);
  fact(counted >= 2, `the nodes count it: madang_mail_services_refused_total is ${counted}`);
  const other = await code(open(stage, "auditor", "bot"));
  fact(other.startsWith("NATS_REFUSED"), `under another service's name: ${other}`);
  const dotted = await code(open(stage, "bot.auditor", "bot"));
  fact(dotted.startsWith("BAD_NAME"), `under a name that cannot be one: ${dotted}`);
  const guessed = await code(
    createService({ url: stage.url, cluster: PERMITTED_CLUSTER, name: "bot", user: "bot", password: "guessed" }),
  );
  fact(guessed.startsWith("NATS_REFUSED") && !guessed.includes("guessed"), `with a wrong password: ${guessed}`);
}

function open({ url, passwords }: Stage, name: string, user: NatsUser): Promise<Service> {
  return createService({ url, cluster: PERMITTED_CLUSTER, name, user, password: passwords[user] });
}

// ---- the example

interface Running {
  readonly child: ChildProcess;
  /** What it has said, a line each. */
  readonly said: readonly Record<string, unknown>[];
  readonly ended: Promise<{ readonly code: number; readonly errors: string }>;
}

function runPython({ python, url, passwords }: Stage, args: readonly string[], user: NatsUser): Running {
  const child = spawn(python, ["service.py", ...args], {
    cwd: join(root, "examples/python"),
    env: {
      PATH: process.env.PATH,
      NATS_URL: url,
      MADANG_CLUSTER: PERMITTED_CLUSTER,
      SERVICE_NAME: user,
      NATS_USER: user,
      NATS_PASSWORD: passwords[user],
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said: Record<string, unknown>[] = [];
  let errors = "";
  createInterface({ input: child.stdout }).on("line", (line) => said.push(JSON.parse(line)));
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  return { child, said, ended: once(child, "close").then(([code]) => ({ code: code as number, errors })) };
}

async function endOf(running: Running) {
  return { ...(await running.ended), said: running.said };
}
