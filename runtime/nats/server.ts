// Which NATS server is meant, whether the one that answers can prove that it is that, and whether it lets us in. For nodes, and
// for the client of internal services, which knows nothing else in here.

import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";

/** For the client and for messages: host and port of an address, never its password. */
export function hostOf(address: string): string {
  const url = URL.parse(address);
  return url === null || url.host === "" ? address : url.host;
}

/**
 * For Node's TLS. A server that is known by its address alone is called "localhost" by the client, and would have to be it by
 * its certificate.
 */
export function identityCheck(addresses: readonly string[]) {
  const hosts = addresses.map((address) =>
    hostOf(address)
      .replace(/:\d+$/, "")
      .replace(/^\[|\]$/g, ""),
  );
  const known = hosts.filter((host) => isIP(host) !== 0 || host === "localhost");
  return (name: string, certificate: PeerCertificate): Error | undefined => {
    const names = name === "localhost" && known.length > 0 ? known : [name];
    const errors = names.map((one) => checkServerIdentity(one, certificate));
    return errors.includes(undefined) ? undefined : errors[0];
  };
}

/** It does not let us in, or cannot prove by its certificate that it is who we wanted. */
const refusal = /authorization|authentication|permission|credential|certificate|SSL routines|support 'tls'/i;

export function isRefusal({ name, message }: Error): boolean {
  return refusal.test(`${name} ${message}`);
}
