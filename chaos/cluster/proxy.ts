// Stands between one node and the ring, and can hold what the node sends: an append is then on its way for as long as the test
// wants, and lands when the test wants. What comes back passes.

import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from "node:net";

export interface RingProxy {
  /** For CQL_CONTACT_POINTS and MADANG_CQL_TRANSLATE of the node behind it. */
  readonly settings: Readonly<Record<string, string>>;
  hold(): void;
  /** Whether these bytes are among those that are held. */
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
  let holding = false;
  const servers = await Promise.all(
    members.map((member) => {
      const [host, port] = member.split(":") as [string, string];
      return listen((client) => {
        const line: Line = { client, member: dial(Number(port), host), held: [] };
        lines.add(line);
        client.setNoDelay(true);
        line.member.setNoDelay(true);
        client.on("data", (bytes: Buffer) => {
          if (holding || line.held.length > 0) line.held.push(bytes);
          else line.member.write(bytes);
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
    hold() {
      holding = true;
    },
    holds(text) {
      const bytes = Buffer.from(text);
      for (const { held } of lines) if (Buffer.concat(held).includes(bytes)) return true;
      return false;
    },
    release() {
      holding = false;
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

function listen(connected: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(connected).on("error", reject);
    server.listen(0, HOST, () => resolve(server));
  });
}
