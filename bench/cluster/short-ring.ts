// A ring that answers at once: it stands before the real one, passes on what a driver asks of it, and answers by itself, without
// asking anybody, what is asked a hundred thousand times: records into `messages`, and reads of `revocations`, of which it
// repeats the first answer. What such a client spends is its own; beside three members of Cassandra on the same two cores it
// is a matter of whose memory lies in the cache.
//
//   short-ring <host:port,host:port …>

import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from "node:net";
import { beMeasured } from "../processes.ts";

export interface ShortRing {
  readonly contactPoints: string;
  /** From the address that a member tells to the one of this, `host:port=host:port`, with commas between. */
  readonly translate: string;
}

const HOST = "127.0.0.1";
const HEADER_BYTES = 9;
const Opcode = { RESULT: 0x08, PREPARE: 0x09, EXECUTE: 0x0a, BATCH: 0x0d };
const WARNINGS = 0x08;
const Kind = { VOID: 1, PREPARED: 4 };

/** One frame of the native protocol, version 4. */
interface Frame {
  readonly bytes: Buffer;
  readonly stream: number;
  readonly opcode: number;
  readonly body: Buffer;
}

/** Cuts what arrives into frames. */
function framesOf(take: (frame: Frame) => void): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    while (rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + rest.readUInt32BE(5);
      if (rest.length < end) return;
      const frame = rest.subarray(0, end);
      take({ bytes: frame, stream: frame.readInt16BE(2), opcode: frame[4] as number, body: bodyOf(frame) });
      rest = rest.subarray(end);
    }
  };
}

/** Without the warnings that may stand before it. */
function bodyOf(frame: Buffer): Buffer {
  const body = frame.subarray(HEADER_BYTES);
  if (((frame[1] as number) & WARNINGS) === 0) return body;
  let at = 2;
  for (let left = body.readUInt16BE(0); left > 0; left--) at += 2 + body.readUInt16BE(at);
  return body.subarray(at);
}

function result(stream: number, body: Buffer): Buffer {
  const header = Buffer.from([0x84, 0, 0, 0, Opcode.RESULT, 0, 0, 0, 0]);
  header.writeInt16BE(stream, 2);
  header.writeUInt32BE(body.length, 5);
  return Buffer.concat([header, body]);
}

const nothing = Buffer.from([0, 0, 0, Kind.VOID]);
const shortBytes = (body: Buffer, at: number) => body.toString("latin1", at + 2, at + 2 + body.readUInt16BE(at));

/** By the id of a prepared statement, on all members. */
const queries = new Map<string, string>();
const answers = new Map<string, Buffer>();

/** Undefined: the real ring has to answer. */
function answerTo({ opcode, body }: Frame): Buffer | undefined {
  if (opcode !== Opcode.EXECUTE && opcode !== Opcode.BATCH) return undefined;
  // A batch: its type, the number of statements, and of the first one its kind, before the id.
  return answers.get(shortBytes(body, opcode === Opcode.EXECUTE ? 0 : 4));
}

function connected(client: Socket, memberAddress: string): void {
  const [host, port] = memberAddress.split(":") as [string, string];
  const member = dial(Number(port), host);
  for (const socket of [client, member]) socket.setNoDelay(true);
  const preparing = new Map<number, string>();
  const asking = new Map<number, string>();
  let leaving: Buffer[] = [];
  const fromClient = framesOf((frame) => {
    const answer = answerTo(frame);
    if (answer !== undefined) return void leaving.push(result(frame.stream, answer));
    const { opcode, stream, body } = frame;
    if (opcode === Opcode.PREPARE) preparing.set(stream, body.toString("utf8", 4, 4 + body.readUInt32BE(0)));
    if (opcode === Opcode.EXECUTE && /FROM revocations/.test(queries.get(shortBytes(body, 0)) ?? ""))
      asking.set(stream, shortBytes(body, 0));
    member.write(frame.bytes);
  });
  client.on("data", (bytes: Buffer) => {
    fromClient(bytes);
    if (leaving.length > 0) client.write(Buffer.concat(leaving));
    leaving = [];
  });
  const fromMember = framesOf(({ bytes, stream, opcode, body }) => {
    const query = preparing.get(stream);
    if (query !== undefined && opcode === Opcode.RESULT && body.readUInt32BE(0) === Kind.PREPARED) {
      const id = shortBytes(body, 4);
      queries.set(id, query);
      if (/^(INSERT INTO|DELETE FROM) messages/.test(query)) answers.set(id, nothing);
    }
    preparing.delete(stream);
    const asked = asking.get(stream);
    if (asked !== undefined && opcode === Opcode.RESULT) answers.set(asked, Buffer.from(body));
    asking.delete(stream);
    client.write(bytes);
  });
  member.on("data", fromMember);
  for (const [socket, other] of [
    [client, member],
    [member, client],
  ] as const) {
    socket.on("error", () => other.destroy()).on("close", () => other.destroy());
  }
}

const members = (process.argv[2] ?? "").split(",");
const servers = await Promise.all(
  members.map(
    (member) =>
      new Promise<Server>((resolve) => {
        const server = createServer((client) => connected(client, member));
        server.listen(0, HOST, () => resolve(server));
      }),
  ),
);
const addresses = servers.map((server) => `${HOST}:${(server.address() as AddressInfo).port}`);
const ready: ShortRing = {
  contactPoints: addresses[0] as string,
  translate: members.map((member, at) => `${member}=${addresses[at]}`).join(","),
};
beMeasured(ready, () => {});
