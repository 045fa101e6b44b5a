/** What it takes to be let in by TLS alone, and by nobody but this machine. */
export const tlsOnly = "hostssl all all 127.0.0.1/32 scram-sha-256\n";

export interface PostgresTls {
  /** A PEM file of key and certificate. */
  readonly certificate: string;
  /** With `tlsOnly`. */
  readonly accessFile: string;
}

/** Settings on the command line: they win over what a kept data folder says, whose ports were others. */
export function postgresArguments(dataFolder: string, port: number, tls?: PostgresTls): string[] {
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "", // loopback only, and no file in a folder that others share
    fsync: "on",
    synchronous_commit: "on",
    dynamic_shared_memory_type: "mmap", // in the data folder: a killed one leaves nothing in /dev/shm
    max_connections: "200", // test suites that run at once have a pool each
    ...(tls && { ssl: "on", ssl_cert_file: tls.certificate, ssl_key_file: tls.certificate, hba_file: tls.accessFile }),
  };
  return ["-D", dataFolder, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
}
