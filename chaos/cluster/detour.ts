// A way to a server under an address that it is not called by: who comes by it finds the right server with the wrong name.

import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Detour {
  /** host:port */
  readonly address: string;
  close(): Promise<void>;
}

/** Loopback, and in nobody's certificate. */
const HOST = "127.0.0.2";

/** @param to host:port */
export async function openDetour(to: string): Promise<Detour> {
  const [host, port] = to.split(":") as [string, string];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const there = connect(Number(port), host);
    client.pipe(there).pipe(client);
    for (const socket of [client, there]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        there.destroy();
      });
    }
  });
  await new Promise<void>((resolve, reject) => server.on("error", reject).listen(0, HOST, resolve));
  return {
    address: `${HOST}:${(server.address() as AddressInfo).port}`,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => void server.close(() => resolve()));
    },
  };
}
