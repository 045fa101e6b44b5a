// Servers that show a certificate that they should not have, and what every client of ours does about it: it ends with an error
// of its own, and tells such a server nothing, no password least of all. Certificates are made by `openssl`.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSecureContext, TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Authority, createAuthority } from "./authority.ts";
import { findProgram } from "./command.ts";

export interface TrustingClient {
  readonly name: string;
  /** Rejects with it when what answers is not believed. */
  readonly code: string;
  /** What is said in clear before TLS begins. */
  greet?(socket: Socket): Promise<void>;
  /** Connects to 127.0.0.1, and gives up after at most a second. */
  connect(port: number, caFile: string): Promise<unknown>;
}

export interface Impostor {
  readonly port: number;
  /** Connections on which it was told something by TLS. */
  readonly believed: number;
  close(): Promise<void>;
}

/** It says nothing itself. */
async function startImpostor(pem: string, greet: TrustingClient["greet"]): Promise<Impostor> {
  const secureContext = createSecureContext({ key: pem, cert: pem });
  const sockets = new Set<Socket>();
  let believed = 0;
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    void (greet?.(socket) ?? Promise.resolve()).then(() => {
      const secure = new TLSSocket(socket, { isServer: true, secureContext });
      secure
        .on("error", () => undefined)
        .once("data", () => {
          believed += 1;
        });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get believed() {
      return believed;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => void server.close(() => resolve()));
    },
  };
}

const canMakeCertificates = ["openssl", "setpriv"].every((name) => findProgram(name) !== undefined);

export function trustSuite({ name, code, greet, connect }: TrustingClient): void {
  describe.skipIf(!canMakeCertificates)(`whom ${name} believes`, () => {
    let folder: string;
    let authority: Authority;
    let another: Authority;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "madang-trust-"));
      authority = await createAuthority(join(folder, "ours"));
      another = await createAuthority(join(folder, "theirs"));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    const meet = async (signer: Authority, hosts: readonly string[]) => {
      const pem = await readFile(await signer.issue(join(folder, "server"), hosts), "utf8");
      const impostor = await startImpostor(pem, greet);
      try {
        const refusal = await connect(impostor.port, authority.file).catch((error: unknown) => error);
        return { refusal, believed: impostor.believed };
      } finally {
        await impostor.close();
      }
    };
    const refused = { refusal: expect.objectContaining({ code, retryable: false }), believed: 0 };

    it("a server that its authority has signed, for the address at which it is", async () => {
      expect((await meet(authority, ["127.0.0.1"])).believed).toBeGreaterThan(0);
    });

    it("no server that another authority has signed", async () => {
      expect(await meet(another, ["127.0.0.1", "localhost"])).toEqual(refused);
    });

    it("no server that is signed for another address, or for a name that was not asked for", async () => {
      expect(await meet(authority, ["10.9.8.7", "localhost"])).toEqual(refused);
    });
  });
}
