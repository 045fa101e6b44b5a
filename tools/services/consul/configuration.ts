export interface ConsulConfiguration {
  readonly httpPort: number;
  readonly serverPort: number;
  readonly gossipPort: number;
  readonly dataFolder: string;
  /** A PEM file of key and certificate: then the HTTP API is by TLS. */
  readonly certificate?: string | undefined;
  /** Laid over the rest, for instance `{ acl: … }`. */
  readonly fragment: Readonly<Record<string, unknown>>;
}

/** A server, not the development agent: one that was killed comes back with what it had. */
export function renderConsul(options: ConsulConfiguration): string {
  const { httpPort, serverPort, gossipPort, dataFolder, certificate, fragment } = options;
  const configuration = {
    node_name: "madang",
    server: true,
    bootstrap_expect: 1,
    data_dir: dataFolder,
    bind_addr: "127.0.0.1",
    client_addr: "127.0.0.1",
    ports: {
      ...(certificate === undefined ? { http: httpPort } : { http: -1, https: httpPort }),
      server: serverPort,
      serf_lan: gossipPort,
      // Not spoken by Madang, and each open port is one that can be taken.
      serf_wan: -1,
      dns: -1,
      grpc: -1,
    },
    ...(certificate && { tls: { https: { cert_file: certificate, key_file: certificate } } }),
    connect: { enabled: false },
    // The timings for machines with disks and networks of their own; the default of 5 is meant for tiny ones.
    performance: { raft_multiplier: 1 },
    disable_update_check: true,
    log_level: "INFO",
    ...fragment,
  };
  return `${JSON.stringify(configuration, null, 2)}\n`;
}
