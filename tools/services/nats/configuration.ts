export interface NatsConfiguration {
  readonly port: number;
  readonly monitorPort: number;
  readonly storeFolder: string;
  /** A PEM file of key and certificate: then nobody is answered in clear. */
  readonly certificate?: string | undefined;
  /** Further lines of the server's own language, for instance `accounts` and `authorization` with allow-lists. */
  readonly fragment: string;
}

export function renderNats({ port, monitorPort, storeFolder, certificate, fragment }: NatsConfiguration): string {
  const file = JSON.stringify(certificate);
  const tls = certificate === undefined ? "" : `tls { cert_file: ${file}, key_file: ${file} }\n`;
  return `server_name: madang
listen: "127.0.0.1:${port}"
http: "127.0.0.1:${monitorPort}"
# The longest text takes 400 KB, and a batch between nodes ends at 256 KB or with one longer message.
max_payload: 1MB
jetstream {
  store_dir: ${JSON.stringify(storeFolder)}
  # An acknowledged entry is on the disk: by default the server syncs every two minutes.
  sync_interval: always
}
${tls}${fragment}
`;
}
