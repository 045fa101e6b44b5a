// Users, channels and sessions for a measured node. Accounts are written before the node starts: a password's hash is made
// slow on purpose, and nobody here logs in by one.

import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { createTokens, httpDefaults } from "../gateway/index.ts";
import { ClientFrame, ServerFrame } from "../proto/index.ts";
import { systemClock } from "../runtime/index.ts";
import { openEmbeddedAccounts } from "../storage/accounts/index.ts";
import { type Measured, startMeasured } from "./processes.ts";
import { openSockets, type RawSocket } from "./sockets.ts";

export interface NodeReady {
  readonly http: string;
  readonly port: number;
}

export interface World {
  readonly node: Measured<NodeReady>;
  /** The same data, another process. */
  restart(): Promise<void>;
  /** With the people's ids, 1 to `people`. */
  createGroup(ownerId: number, memberIds: readonly number[]): Promise<string>;
  /** One for each of the users, in their order, after their first CaughtUp. */
  connect(userIds: readonly number[], watch?: boolean): Promise<RawSocket[]>;
  close(): Promise<void>;
}

/** Above every load of this bench: what is measured is the work, not the refusal. */
const settings = {
  MADANG_HTTP_PORT: "0",
  MADANG_WS_PORT: "0",
  MADANG_LOG_LEVEL: "silent",
  MADANG_GATEWAY_CONNECTIONS_AN_ADDRESS_MAX: "100000",
  MADANG_GATEWAY_CONNECTIONS_MAX: "100000",
  MADANG_GATEWAY_FRAMES_A_SECOND: "100000",
  MADANG_GATEWAY_FRAMES_BURST: "100000",
  MADANG_GATEWAY_FRAME_WITHIN_MS: "600000", // idle sessions are quiet while their memory is read
  MADANG_CHAT_SILENT_AFTER_MS: "500000",
  MADANG_CHAT_OFFLINE_AFTER_MS: "600000",
};

/** Each user is a friend of the `friends / 2` before and after, in a ring. */
export async function startWorld(people: number, friends = 0): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "madang-bench-"));
  await writeAccounts(join(folder, "accounts"), people, friends);
  const startNode = () => startMeasured<NodeReady>("server", [], { ...settings, MADANG_DATA: folder });
  let node = await startNode();
  const tokens = createTokens(new Uint8Array(await readFile(join(folder, "signing.key"))), systemClock, httpDefaults);
  const identity = (userId: number) => ({ userId, deviceId: userId, loginId: `l${userId}` });
  return {
    get node() {
      return node;
    },
    async restart() {
      await node.stop();
      node = await startNode();
    },
    async createGroup(ownerId, memberIds) {
      const response = await fetch(`${node.ready.http}/v1/channels`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          authorization: `Bearer ${await tokens.issueAccess(identity(ownerId))}`,
          "idempotency-key": crypto.randomUUID(),
        },
        body: JSON.stringify({ title: "bench", memberIds }),
      });
      if (!response.ok) throw new Error(await response.text());
      return ((await response.json()) as { channelId: string }).channelId;
    },
    async connect(userIds, watch = false) {
      const sockets: RawSocket[] = [];
      for (let from = 0; from < userIds.length; from += 500) {
        const some = userIds.slice(from, from + 500);
        const opened = await openSockets(node.ready.port, some.length, from);
        await Promise.all(
          some.map(async (userId, at) => {
            const socket = opened[at] as RawSocket;
            const ticket = await tokens.issueTicket(identity(userId));
            await answerTo(socket, { request: 1, hello: { ticket, cursor: 0, client: "bench" } }, (f) => !!f.caughtUp);
            if (watch) await answerTo(socket, { request: 2, presenceWatch: { friends: true } }, (f) => !!f.presences);
          }),
        );
        sockets.push(...opened);
      }
      return sockets;
    },
    async close() {
      await node.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function answerTo(socket: RawSocket, frame: ClientFrame, isIt: (frame: ServerFrame) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.onFrame = (bytes) => {
      const answer = ServerFrame.decode(new Uint8Array(bytes));
      if (answer.error) reject(new Error(answer.error.message));
      else if (isIt(answer)) resolve();
    };
    socket.send(ClientFrame.encode(frame).finish());
  });
}

async function writeAccounts(folder: string, people: number, friends: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const accounts = await openEmbeddedAccounts({ folder, clock: systemClock });
  await accounts.close();
  const database = new Database(join(folder, "accounts.db"));
  const user = database.prepare(
    "insert into users (id, name, display_name, password_hash, created_ms) values (?,?,?,?,0)",
  );
  const device = database.prepare(
    "insert into devices (id, user_id, name, created_ms, last_seen_ms) values (?,?,?,0,0)",
  );
  const logIn = database.prepare(
    "insert into log_ins (id, user_id, device_id, refresh_hash, expires_ms) values (?,?,?,?,?)",
  );
  const friend = database.prepare("insert into friends (user_id, friend_id, since_ms) values (?,?,0)");
  database.exec("begin");
  for (let id = 1; id <= people; id++) {
    user.run(id, `p${id}`, `p${id}`, "-");
    device.run(id, id, "bench");
    logIn.run(`l${id}`, id, id, `h${id}`, 9e15);
  }
  for (let id = 1; id <= people; id++) {
    for (let away = 1; away <= friends / 2; away++) {
      const other = ((id - 1 + away) % people) + 1;
      friend.run(id, other);
      friend.run(other, id);
    }
  }
  database.exec("commit");
  database.close();
}
