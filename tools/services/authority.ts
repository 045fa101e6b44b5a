// An authority of our own, and what it signs: for engines that speak TLS alone.

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { basename, join } from "node:path";
import { requireProgram, run } from "./command.ts";

export interface Authority {
  /** PEM. What clients check against. */
  readonly file: string;
  /**
   * Resolves with a PEM file of a key and the certificate for it, for a server that is reached by these addresses and names.
   * It is written into `folder`, and replaces the one that was there.
   */
  issue(folder: string, hosts: readonly string[]): Promise<string>;
}

/** Nobody keeps them: a run lasts minutes. */
const VALID_DAYS = "2";
const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** @param folder its own, for the key that signs; its last part is the name of the authority. */
export async function createAuthority(folder: string): Promise<Authority> {
  requireProgram("openssl", "it makes the certificates (Debian: apt-get install openssl)");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, "authority.pem");
  const key = join(folder, "authority.key");
  await certificate(basename(folder), file, key, ["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"]);
  return {
    file,
    async issue(into, hosts) {
      await mkdir(into, { recursive: true });
      const [own, signed, both] = [join(into, "server.key"), join(into, "server.crt"), join(into, "server.pem")];
      const names = hosts.map((host) => `${isIP(host) === 0 ? "DNS" : "IP"}:${host}`);
      const extensions = ["basicConstraints=critical,CA:FALSE", `subjectAltName=${names.join(",")}`];
      await certificate(basename(into), signed, own, extensions, [file, key]);
      // In one file, which all engines read, and some read nothing else.
      await writeFile(both, `${await readFile(own, "utf8")}${await readFile(signed, "utf8")}`, { mode: 0o600 });
      await Promise.all([rm(own), rm(signed)]);
      return both;
    },
  };
}

/** Signed by itself unless somebody else signs. */
async function certificate(
  name: string,
  file: string,
  keyFile: string,
  extensions: readonly string[],
  by?: readonly [file: string, keyFile: string],
): Promise<void> {
  const signed = by === undefined ? [] : ["-CA", by[0], "-CAkey", by[1]];
  const more = extensions.flatMap((extension) => ["-addext", extension]);
  const what = ["-days", VALID_DAYS, "-subj", `/CN=${name}`, ...more, ...signed];
  await run(["openssl", "req", "-x509", ...newKey, ...what, "-keyout", keyFile, "-out", file]);
}
