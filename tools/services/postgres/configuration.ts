/** Settings on the command line: they win over what a kept data folder says, whose ports were others. */
export function postgresArguments(dataFolder: string, port: number): string[] {
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "", // loopback only, and no file in a folder that others share
    fsync: "on",
    synchronous_commit: "on",
    max_connections: "200", // test suites that run at once have a pool each
  };
  return ["-D", dataFolder, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
}
