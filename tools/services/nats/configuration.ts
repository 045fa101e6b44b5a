export interface NatsConfiguration {
  /** Of the server: with others it is known by it. */
  readonly name: string;
  readonly port: number;
  readonly monitorPort: number;
  /** Where the others reach it, and where all of them are reached; none for a server that is alone. */
  readonly routePort: number;
  readonly routes: readonly number[];
  readonly storeFolder: string;
  /** A PEM file of key and certificate: then nobody is answered in clear. */
  readonly certificate?: string | undefined;
  /** Further lines of the server's own language, for instance `accounts` and `authorization` with allow-lists. */
  readonly fragment: string;
}

export function renderNats(configuration: NatsConfiguration): string {
  const { name, port, monitorPort, routePort, routes, storeFolder, certificate, fragment } = configuration;
  const file = JSON.stringify(certificate);
  const tls = certificate === undefined ? "" : `tls { cert_file: ${file}, key_file: ${file} }\n`;
  const others = routes.map((route) => `"nats://127.0.0.1:${route}"`).join(", ");
  const cluster =
    routes.length === 0 ? "" : `cluster { name: madang, listen: "127.0.0.1:${routePort}", routes: [${others}] }\n`;
  return `server_name: ${JSON.stringify(name)}
listen: "127.0.0.1:${port}"
http: "127.0.0.1:${monitorPort}"
# The longest text takes 400 KB, and a batch between nodes ends at 256 KB or with one longer message.
max_payload: 1MB
jetstream {
  store_dir: ${JSON.stringify(storeFolder)}
  # An acknowledged entry is on the disk: by default the server syncs every two minutes.
  sync_interval: always
}
${cluster}${tls}${fragment}
`;
}
