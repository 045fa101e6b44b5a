// Ports for programs that are killed and started again.

import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/**
 * A free port below those that systems give to outgoing connections: while the node is away, a device that knocks at such a
 * port can be given the very same port for its own end, and then the node finds it taken.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 30_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (free) return port;
  }
}
