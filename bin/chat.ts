// `madang chat --as NAME`: a chat client for the terminal, on the SDK.

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Client, ClientError, createClient } from "../client/index.ts";
import { createFileStore, nodeWebSocket } from "../client/node.ts";
import { harmless } from "./chat/format.ts";
import { Room } from "./chat/room.ts";
import { openTerminal, type Terminal } from "./chat/terminal.ts";

const CHAT_USAGE = `madang chat --as NAME [--server URL] [--password PASSWORD] [--state DIR] [--sign-up]

  --as NAME        who you are
  --server URL     address of the HTTP API; default http://127.0.0.1:8080
  --password …     asked for when it is missing; MADANG_PASSWORD keeps it off the list of processes
  --state DIR      where the log-in and unsent messages are kept; default ~/.madang/NAME
  --sign-up        makes the account without asking when it does not exist`;

/** Names become folders. */
const NAME = /^[\p{L}\p{N}_.-]{1,64}$/u;
/** What waits for its acknowledgement gets so long when the input has ended; it is kept for the next time anyway. */
const DRAIN_MS = 10_000;
const EXIT_USAGE = 2;

interface Flags {
  readonly name: string;
  readonly server: string;
  readonly password: string | undefined;
  readonly state: string;
  readonly signUp: boolean;
}

export async function chat(argv: readonly string[]): Promise<void> {
  const flags = readFlags(argv);
  if (flags === undefined) {
    process.stderr.write(`${CHAT_USAGE}\n`);
    process.exitCode = EXIT_USAGE;
    return;
  }
  const terminal = openTerminal();
  let client: Client | undefined;
  try {
    const store = await createFileStore(join(flags.state, "state"));
    client = await createClient({ url: flags.server, store, webSocket: nodeWebSocket, application: "madang-chat/1" });
    await enter(client, flags, terminal);
    await new Room(client, terminal).run();
    await drain(client);
  } catch (error) {
    process.stderr.write(`madang: ${harmless(error instanceof Error ? error.message : String(error))}\n`);
    process.exitCode = 1;
  } finally {
    terminal.close();
    await client?.close();
  }
}

function readFlags(argv: readonly string[]): Flags | undefined {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        as: { type: "string" },
        server: { type: "string", default: "http://127.0.0.1:8080" },
        password: { type: "string" },
        state: { type: "string" },
        "sign-up": { type: "boolean", default: false },
      },
    });
    const { as: name, server, password = process.env.MADANG_PASSWORD } = values;
    if (name === undefined || !NAME.test(name) || /^\.+$/.test(name)) return undefined;
    const state = resolve(values.state ?? join(homedir(), ".madang", name));
    return { name, server, password, state, signUp: values["sign-up"] };
  } catch (error) {
    process.stderr.write(`madang: ${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  }
}

/** Logged in and up to date; or logged in and offline, which is told. */
async function enter(client: Client, flags: Flags, terminal: Terminal): Promise<void> {
  if (client.userId === undefined) await logIn(client, flags, terminal);
  else await client.connect();
  const offline = new Promise<void>((done) => {
    client.on("state", ({ phase }) => {
      if (phase === "offline") done();
    });
  });
  await Promise.race([client.online(), offline]);
}

async function logIn(client: Client, { name, password, signUp }: Flags, terminal: Terminal): Promise<void> {
  const secret = password ?? (await terminal.ask(`Password of ${name}: `, true));
  const credentials = { name, password: secret, deviceName: "madang chat" };
  try {
    return await client.logIn(credentials);
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== "UNAUTHENTICATED") throw error;
  }
  const question = `There is no account ${name} with this password. Make one? [y/N] `;
  if (!signUp && !/^y/i.test(await terminal.ask(question)))
    throw new Error(`not logged in: no account ${name} has this password`); // who pipes sees no question
  await client.signUp({ name, password: secret });
  await client.logIn(credentials);
}

/** The input has ended: what was typed is given its time to arrive. */
async function drain(client: Client): Promise<void> {
  if (client.outbox.length === 0 || client.userId === undefined) return;
  await new Promise<void>((done) => {
    const timer = setTimeout(done, DRAIN_MS);
    const look = () => {
      if (client.outbox.length > 0) return;
      clearTimeout(timer);
      done();
    };
    client.on("sent", look);
    client.on("refused", look);
  });
}
