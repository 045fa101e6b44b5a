// Where the engines listen. Free ports lie below the range from which the kernel serves outgoing connections: an engine that
// was killed finds its own port again, however many connections were opened meanwhile.

import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { servicesErrors } from "./errors.ts";

const PORT_MIN = 12_000;
const PORT_MAX = 32_000;
/** With a handful of supervisors at once even the second attempt is rare. */
const ATTEMPTS = 100;

export const LOOPBACK = "127.0.0.1";

/** The fixed ones where that is wanted, or as many free ones. */
export async function choosePorts<Fixed extends readonly number[]>(
  hosts: readonly string[],
  fixed: readonly [...Fixed],
  useFixed: boolean,
): Promise<{ [At in keyof Fixed]: number }> {
  const ports = useFixed ? await fixedPorts(hosts, fixed) : await freePorts(hosts, fixed.length);
  return ports as { [At in keyof Fixed]: number };
}

export async function portIsFree(host: string, port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** `count` ports that are free on every host. */
async function freePorts(hosts: readonly string[], count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let attempt = 0; attempt < ATTEMPTS * count; attempt++) {
    if (ports.size === count) return [...ports];
    const port = randomInt(PORT_MIN, PORT_MAX);
    if (await freeOnAll(hosts, port)) ports.add(port);
  }
  throw servicesErrors.NO_PORT({ message: `no free port was found on ${hosts.join(", ")}` });
}

/** The ports themselves, when they are free: a fixed address that is taken is somebody's engine. */
async function fixedPorts(hosts: readonly string[], ports: readonly number[]): Promise<number[]> {
  for (const host of hosts) {
    for (const port of ports) {
      if (await portIsFree(host, port)) continue;
      throw servicesErrors.NO_PORT({ message: `${host}:${port} is taken; without --fixed free ports are chosen` });
    }
  }
  return [...ports];
}

async function freeOnAll(hosts: readonly string[], port: number): Promise<boolean> {
  for (const host of hosts) if (!(await portIsFree(host, port))) return false;
  return true;
}

/** A block of loopback addresses of one's own, for nodes that differ by address and not by port. */
export function loopbackBlock(
  count: number,
  fixed: boolean,
  random: (min: number, max: number) => number = randomInt,
): string[] {
  const block = fixed ? "127.0.0" : `127.${random(1, 255)}.${random(0, 256)}`;
  return Array.from({ length: count }, (_, at) => `${block}.${at + 1}`);
}
