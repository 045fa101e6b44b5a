import type { NodeAddress } from "./readiness.ts";

export interface CassandraConfiguration {
  readonly address: NodeAddress;
  readonly seeds: readonly string[];
  readonly token: bigint;
  readonly storagePort: number;
  readonly folder: string;
  /** A PEM file of key and certificate: then clients come by TLS, and by name and password. */
  readonly certificate?: string | undefined;
}

/** Evenly around the ring, so that each node owns the same share and, with three replicas, everything. */
export function ringTokens(nodes: number): bigint[] {
  const share = (1n << 64n) / BigInt(nodes);
  return Array.from({ length: nodes }, (_, at) => -(1n << 63n) + share * BigInt(at));
}

/** JSON is YAML, and needs no escaping of ours. */
export function renderCassandra(configuration: CassandraConfiguration): string {
  const { address, seeds, token, storagePort, folder, certificate } = configuration;
  const settings = {
    cluster_name: "madang",
    num_tokens: 1,
    initial_token: String(token),
    // The whole ring is new, there is nothing to stream; also a node that comes back has its data.
    auto_bootstrap: false,
    partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
    endpoint_snitch: "SimpleSnitch",
    seed_provider: [
      {
        class_name: "org.apache.cassandra.locator.SimpleSeedProvider",
        parameters: [{ seeds: seeds.map((seed) => `${seed}:${storagePort}`).join(",") }],
      },
    ],
    listen_address: address.host,
    storage_port: storagePort,
    rpc_address: address.host,
    native_transport_port: address.port,
    start_native_transport: true,
    data_file_directories: [`${folder}/data`],
    commitlog_directory: `${folder}/commitlog`,
    hints_directory: `${folder}/hints`,
    saved_caches_directory: `${folder}/saved_caches`,
    cdc_raw_directory: `${folder}/cdc_raw`,
    // An acknowledged write is on the disk: `periodic`, the default, syncs every ten seconds.
    commitlog_sync: "batch",
    hinted_handoff_enabled: true,
    // Dropped keyspaces of tests would be kept for ever.
    auto_snapshot: false,
    // Small, because three of them share a developer's machine.
    commitlog_segment_size: "16MiB",
    commitlog_total_space: "256MiB",
    memtable_heap_space: "64MiB",
    memtable_offheap_space: "64MiB",
    file_cache_size: "32MiB",
    networking_cache_size: "32MiB",
    key_cache_size: "8MiB",
    counter_cache_size: "0MiB",
    row_cache_size: "0MiB",
    concurrent_reads: 16,
    concurrent_writes: 16,
    concurrent_compactors: 1,
    ...(certificate && secured(certificate)),
  };
  return `${JSON.stringify(settings, null, 2)}\n`;
}

/** Permissions are asked for anew every time: those of a test change while it runs. */
const secured = (certificate: string) => ({
  client_encryption_options: {
    enabled: true,
    optional: false,
    require_client_auth: false,
    ssl_context_factory: { class_name: "org.apache.cassandra.security.PEMBasedSslContextFactory" },
    keystore: certificate,
  },
  authenticator: "PasswordAuthenticator",
  authorizer: "CassandraAuthorizer",
  permissions_validity: "0ms",
});

/** Who may do everything in a ring that has just begun to ask for names. */
export const superuser = { username: "cassandra", password: "cassandra" };

export const logback = `<configuration scan="false">
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level [%thread] %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="STDOUT"/></root>
</configuration>
`;

/** What Cassandra reaches into of Java 17's insides, after its own jvm17-server.options. */
const exports = [
  "java.base/jdk.internal.misc",
  "java.base/jdk.internal.ref",
  "java.base/sun.nio.ch",
  "java.management.rmi/com.sun.jmx.remote.internal.rmi",
  "java.rmi/sun.rmi.registry",
  "java.rmi/sun.rmi.server",
  "java.sql/java.sql",
  "java.rmi/sun.rmi.transport.tcp",
  "jdk.unsupported/sun.misc",
];
const opens = [
  "java.base/java.lang.module",
  "java.base/jdk.internal.loader",
  "java.base/jdk.internal.ref",
  "java.base/jdk.internal.reflect",
  "java.base/jdk.internal.math",
  "java.base/jdk.internal.module",
  "java.base/jdk.internal.util.jar",
  "jdk.management/com.sun.management.internal",
  "java.base/sun.nio.ch",
  "java.base/java.io",
  "java.base/java.lang",
  "java.base/java.lang.ref",
  "java.base/java.lang.reflect",
  "java.base/java.util",
  "java.base/java.util.concurrent",
  "java.base/java.util.concurrent.atomic",
  "java.base/java.nio",
  "java.base/java.net",
  "java.base/jdk.internal.access",
];

/** The first compiler is done at once; with the second a ring does with two thirds of the CPU, after it was busy for minutes. */
export type JavaCompilers = "first" | "both";

/**
 * How late the timers of a member may be. A worker of Cassandra looks for work before it sleeps, in naps of 10 us that the
 * kernel makes 60 of; three members with a hundred messages a second woke up 48,000 times a second for it, and a core was busy
 * with that. With a timer slack (proc(5)) that lets a nap be half a millisecond longer they take half of the CPU, and answer
 * no later. Where the kernel has none, all is as before.
 */
const TIMER_SLACK_NS = 500_000;
const withTimerSlack = `{ echo ${TIMER_SLACK_NS} >/proc/self/timerslack_ns; } 2>/dev/null; exec "$@"`;

/** A shell that sets its own slack, and becomes the member. */
export function memberCommand(
  libraries: string,
  configFolder: string,
  folder: string,
  compilers: JavaCompilers = "first",
): string[] {
  return ["sh", "-c", withTimerSlack, "member", "java", ...javaArguments(libraries, configFolder, folder, compilers)];
}

function javaArguments(libraries: string, configFolder: string, folder: string, compilers: JavaCompilers): string[] {
  return [
    "-Xms384m",
    "-Xmx384m",
    "-XX:MaxDirectMemorySize=256m",
    ...(compilers === "first" ? ["-XX:TieredStopAtLevel=1"] : []),
    "-XX:+UseTransparentHugePages", // where they are offered: a virtual machine looks up each small page twice
    "-XX:+UseSerialGC", // the smallest one; pauses of a heap of this size are short
    "-XX:-UsePerfData", // no file that a killed one leaves behind
    "-XX:+ExitOnOutOfMemoryError",
    "-Djdk.attach.allowAttachSelf=true",
    ...exports.map((name) => `--add-exports=${name}=ALL-UNNAMED`),
    ...opens.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
    "-cp",
    `${configFolder}:${libraries}/*`,
    `-Dcassandra.config=file://${configFolder}/cassandra.yaml`,
    "-Dlogback.configurationFile=logback.xml",
    `-Dcassandra.storagedir=${folder}`,
    `-Dcassandra.logdir=${folder}`,
    "-Dcassandra-foreground=yes",
    // A ring whose members are all known need not listen for others before it starts.
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.ring_delay_ms=1",
    "-Dcassandra.superuser_setup_delay_ms=0",
    // Who missed a change of the schema asks for it again; by default a minute later, in which writes to it fail.
    "-Dcassandra.migration_delay_ms=1000",
    "-Dcassandra.schema_pull_interval_ms=2000",
    "org.apache.cassandra.service.CassandraDaemon",
  ];
}
