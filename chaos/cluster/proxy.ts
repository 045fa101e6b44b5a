// Stands between one node and the ring, and can hold what the node sends: an append is then on its way for as long as the test
// wants, and lands when the test wants. What comes back passes.

import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from "node:net";

export interface RingProxy {
  /** For CQL_CONTACT_POINTS and MADANG_CQL_TRANSLATE of the node behind it. */
  readonly settings: Readonly<Record<string, string>>;
  /** Requests that say one of these are held from now on. Others pass, or appends would wait for what stands before them. */
  holdWhatSays(texts: readonly string[]): void;
  /** All requests are held from now on. */
  holdAll(): void;
  /** Whether a request that is held says this. */
  holds(text: string): boolean;
  /** Everything that is held goes on, in its order, and what comes after it too. */
  release(): void;
  close(): Promise<void>;
}

interface Line {
  readonly client: Socket;
  readonly member: Socket;
  held: Buffer[];
}

const HOST = "127.0.0.1";

export async function openRingProxy(contactPoints: string): Promise<RingProxy> {
  const members = contactPoints.split(",");
  const lines = new Set<Line>();
  const nothing = () => false;
  let toBeHeld: (request: Buffer) => boolean = nothing;
  const servers = await Promise.all(
    members.map((member) => {
      const [host, port] = member.split(":") as [string, string];
      return listen((client) => {
        const line: Line = { client, member: dial(Number(port), host), held: [] };
        lines.add(line);
        client.setNoDelay(true);
        line.member.setNoDelay(true);
        let begun: Buffer = Buffer.alloc(0);
        client.on("data", (bytes: Buffer) => {
          const { frames, rest } = framesOf(begun.length === 0 ? bytes : Buffer.concat([begun, bytes]));
          begun = rest;
          const passing: Buffer[] = [];
          for (const frame of frames) (toBeHeld(frame) ? line.held : passing).push(frame);
          if (passing.length > 0) line.member.write(Buffer.concat(passing));
        });
        line.member.on("data", (bytes: Buffer) => void client.write(bytes));
        const over = () => {
          // What was sent before its sender left still arrives.
          if (line.held.length === 0) line.member.destroy();
          client.destroy();
          if (line.held.length === 0) lines.delete(line);
        };
        for (const socket of [client, line.member]) socket.on("close", over).on("error", over);
      });
    }),
  );
  const addresses = servers.map((server) => `${HOST}:${(server.address() as AddressInfo).port}`);
  return {
    settings: {
      CQL_CONTACT_POINTS: addresses[0] as string,
      MADANG_CQL_TRANSLATE: members.map((member, at) => `${member}=${addresses[at]}`).join(","),
    },
    holdWhatSays(texts) {
      const said = texts.map((text) => Buffer.from(text));
      toBeHeld = (request) => said.some((text) => request.includes(text));
    },
    holdAll() {
      toBeHeld = () => true;
    },
    holds(text) {
      const said = Buffer.from(text);
      return [...lines].some(({ held }) => held.some((request) => request.includes(said)));
    },
    release() {
      toBeHeld = nothing;
      for (const line of lines) {
        const { held } = line;
        line.held = [];
        for (const bytes of held) line.member.write(bytes);
        if (line.client.destroyed) {
          line.member.end();
          lines.delete(line);
        }
      }
    },
    async close() {
      for (const { client, member } of lines) {
        client.destroy();
        member.destroy();
      }
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

/** Sizes in bytes of a frame's head, and of the length at its end. CQL binary protocol v4, section 2. */
const HEAD_SIZE = 9;
const LENGTH_SIZE = 4;
/** The latter two are DataStax's own: the driver asks for them first. Version 5 wraps its requests. */
const VERSIONS_LIKE_IT = [3, 4, 0x41, 0x42];

/** Requests as they stand in the bytes, and the beginning of one that is not whole yet. */
function framesOf(bytes: Buffer): { frames: Buffer[]; rest: Buffer } {
  const frames: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= HEAD_SIZE) {
    const version = bytes.readUInt8(at);
    if (!VERSIONS_LIKE_IT.includes(version))
      throw new Error(`a request of version ${version}, whose form is not known`);
    const end = at + HEAD_SIZE + bytes.readUInt32BE(at + HEAD_SIZE - LENGTH_SIZE);
    if (end > bytes.length) break;
    frames.push(bytes.subarray(at, end));
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}

function listen(connected: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(connected).on("error", reject);
    server.listen(0, HOST, () => resolve(server));
  });
}
