// Starts of a node that would be let in, but for one thing: engine × what is wrong with the way to it.

import type { WrongStart } from "./wrong-start.ts";

type Settings = Readonly<Record<string, string>>;
type ByEngine<T> = Readonly<Record<"nats" | "consul" | "ring" | "postgres", T>>;

export interface WrongAccessOptions {
  /** With which the node would be let in. */
  readonly settings: Settings;
  /** File of an authority that has signed nothing here. */
  readonly otherAuthority: string;
  /** host:port at which the engine is reached, and which is not in its certificate. */
  readonly detours: ByEngine<string>;
  /** Of somebody whom the engine knows, and permits nothing. */
  readonly powerless: ByEngine<Settings>;
  /** That must not be printed. */
  readonly secrets: readonly string[];
}

const GUESSED = "guessed";

export function wrongAccess(options: WrongAccessOptions): WrongStart[] {
  const { settings, otherAuthority, detours, powerless } = options;
  const nats = new URL(settings.NATS_URL ?? "");
  const consul = new URL(settings.CONSUL_HTTP_ADDR ?? "");
  const postgres = new URL(settings.DATABASE_URL ?? "");
  const changed = (url: URL, change: (url: URL) => void) => {
    const copy = new URL(url);
    change(copy);
    return copy.href;
  };
  const inClear = (url: URL) => url.href.replace(/^tls:/, "nats:").replace(/^https:/, "http:");
  const postgresWith = (change: (url: URL) => void): Settings => ({ DATABASE_URL: changed(postgres, change) });
  const rows: readonly (readonly [string, Settings, string, RegExp])[] = [
    [
      "an authority that has not signed NATS's certificate",
      { MADANG_NATS_CA_FILE: otherAuthority },
      "NATS_REFUSED",
      /NATS at .*certificate/,
    ],
    [
      "NATS under an address that is not in its certificate",
      { NATS_URL: changed(nats, (url) => (url.host = detours.nats)) },
      "NATS_REFUSED",
      /NATS at 127\.0\.0\.2.*altnames/,
    ],
    [
      "a wrong password for NATS",
      { NATS_URL: changed(nats, (url) => (url.password = GUESSED)) },
      "NATS_REFUSED",
      /NATS at .*Authorization/,
    ],
    ["NATS without TLS", { NATS_URL: inClear(nats), MADANG_NATS_CA_FILE: "" }, "NATS_REFUSED", /NATS at .*certificate/],
    [
      "a user of NATS who may not do what nodes do",
      powerless.nats,
      "NATS_REFUSED",
      /does not permit.*madang\.prod\.control/,
    ],
    [
      "an authority that has not signed Consul's certificate",
      { MADANG_CONSUL_CA_FILE: otherAuthority },
      "CONSUL_GARBAGE",
      /prove that it is Consul: .*certificate/,
    ],
    [
      "Consul under an address that is not in its certificate",
      { CONSUL_HTTP_ADDR: changed(consul, (url) => (url.host = detours.consul)) },
      "CONSUL_GARBAGE",
      /127\.0\.0\.2.*prove that it is Consul: .*altnames/,
    ],
    [
      "a wrong token for Consul",
      { CONSUL_HTTP_TOKEN: `7a1d3c5e-0000-4000-8000-${GUESSED}` },
      "CONSUL_FORBIDDEN",
      /Consul at .* refuses the token/,
    ],
    [
      "Consul without TLS",
      { CONSUL_HTTP_ADDR: inClear(consul), MADANG_CONSUL_CA_FILE: "" },
      "CONSUL_GARBAGE",
      /http:.*HTTPS server/,
    ],
    [
      "a token without a policy",
      powerless.consul,
      "CONSUL_FORBIDDEN",
      /Consul at .* refuses the token: Permission denied/,
    ],
    [
      "an authority that has not signed the ring's certificate",
      { MADANG_CQL_CA_FILE: otherAuthority },
      "STORE_REFUSED",
      /The ring at .*certificate/,
    ],
    [
      "the ring under an address that is not in its certificate",
      { CQL_CONTACT_POINTS: detours.ring },
      "STORE_REFUSED",
      /The ring at 127\.0\.0\.2.*altnames/,
    ],
    [
      "a wrong password for the ring",
      { MADANG_CQL_PASSWORD: GUESSED },
      "STORE_REFUSED",
      /The ring at .*password are incorrect/,
    ],
    [
      "no user where the ring wants one",
      { MADANG_CQL_USER: "", MADANG_CQL_PASSWORD: "" },
      "STORE_REFUSED",
      /The ring at .*requires authentication/,
    ],
    ["the ring without TLS", { MADANG_CQL_CA_FILE: "" }, "STORE_UNREACHABLE", /The ring at .*Does it want TLS\?/],
    ["a role that the ring permits nothing", powerless.ring, "STORE_REFUSED", /The ring at .*no SELECT permission/],
    [
      "an authority that has not signed PostgreSQL's certificate",
      postgresWith((url) => url.searchParams.set("sslrootcert", otherAuthority)),
      "DATABASE_REFUSED",
      /PostgreSQL at .*certificate/,
    ],
    [
      "PostgreSQL under an address that is not in its certificate",
      postgresWith((url) => (url.host = detours.postgres)),
      "DATABASE_REFUSED",
      /PostgreSQL at 127\.0\.0\.2.*altnames/,
    ],
    [
      "a wrong password for PostgreSQL",
      postgresWith((url) => (url.password = GUESSED)),
      "DATABASE_REFUSED",
      /PostgreSQL at .*password authentication failed/,
    ],
    [
      "no password where PostgreSQL wants one",
      postgresWith((url) => (url.password = "")),
      "DATABASE_REFUSED",
      /PostgreSQL at .*password must be/,
    ],
    [
      "PostgreSQL without TLS",
      postgresWith((url) => (url.search = "")),
      "DATABASE_REFUSED",
      /PostgreSQL at .*no encryption/,
    ],
    [
      "a role that PostgreSQL permits nothing",
      powerless.postgres,
      "DATABASE_REFUSED",
      /PostgreSQL at .*permission denied/,
    ],
    [
      "a file of an authority that is not there",
      { MADANG_CQL_CA_FILE: "/nowhere/authority.pem" },
      "",
      /MADANG_CQL_CA_FILE names a file/,
    ],
  ];
  const node = { ...settings, MADANG_NODE_NAME: "wrong", MADANG_ROLES: "actors" };
  const secrets = [...options.secrets, GUESSED];
  return rows.map(([what, wrong, code, says]) => ({ what, settings: { ...node, ...wrong }, code, says, secrets }));
}
