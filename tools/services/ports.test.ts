import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { choosePorts, LOOPBACK, loopbackBlock, portIsFree } from "./ports.ts";

const servers: Server[] = [];

async function listening(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  servers.push(server);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

describe("ports", () => {
  test("a port somebody listens on is not free, and is free on another address", async () => {
    const port = await listening("127.0.0.2");
    expect(await portIsFree("127.0.0.2", port)).toBe(false);
    expect(await portIsFree("127.0.0.3", port)).toBe(true);
  });

  test("a fixed port that is taken on one of the hosts is refused by its name", async () => {
    const port = await listening("127.0.0.2");
    await expect(choosePorts([LOOPBACK, "127.0.0.2"], [port], true)).rejects.toThrow(`127.0.0.2:${port} is taken`);
  });

  test("chosen ports differ, and no outgoing connection can take them", async () => {
    const ports = await choosePorts([LOOPBACK, "127.0.0.2"], [1, 2, 3], false);
    expect(new Set(ports).size).toBe(3);
    const range = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8");
    expect(Math.max(...ports)).toBeLessThan(Number.parseInt(range, 10));
  });
});

describe("blocks of loopback addresses", () => {
  test("fixed ones are those that everybody knows", () => {
    expect(loopbackBlock(3, true)).toEqual(["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
  });

  test("chosen ones are never in the block of 127.0.0.1, nor of broadcast", () => {
    const lowest = loopbackBlock(1, false, (min) => min);
    const highest = loopbackBlock(3, false, (_, max) => max - 1);
    expect(lowest).toEqual(["127.1.0.1"]);
    expect(highest.at(-1)).toBe("127.254.255.3");
  });
});
