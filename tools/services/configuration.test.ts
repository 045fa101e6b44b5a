import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { memberCommand, renderCassandra, ringTokens } from "./cassandra/configuration.ts";
import { renderConsul } from "./consul/configuration.ts";
import { renderNats } from "./nats/configuration.ts";
import { postgresArguments, tlsOnly } from "./postgres/configuration.ts";

const nats = { name: "n", port: 1, monitorPort: 2, routePort: 3, routes: [], storeFolder: "/data/js", fragment: "" };

describe("what an acknowledgement means is on the disk", () => {
  test("in JetStream", () => {
    const text = renderNats({ ...nats, fragment: "debug: true" });
    expect(text).toMatch(/^ {2}sync_interval: always$/m);
    expect(text).toContain("debug: true");
  });

  test("in Cassandra", () => {
    const configuration = { address: { host: "127.0.0.2", port: 9042 }, seeds: ["127.0.0.1"], token: 0n };
    const yaml = JSON.parse(renderCassandra({ ...configuration, storagePort: 7000, folder: "/data" }));
    expect(yaml).toMatchObject({ commitlog_sync: "batch", rpc_address: "127.0.0.2", initial_token: "0" });
  });

  test("in PostgreSQL", () => {
    expect(postgresArguments("/data", 5432)).toContain("fsync=on");
  });
});

describe("with a certificate nobody is answered in clear", () => {
  const certificate = "/tls/server.pem";

  test("by NATS", () => {
    const text = renderNats({ ...nats, certificate });
    expect(text).toMatch(/^tls \{ cert_file: "\/tls\/server\.pem", key_file: "\/tls\/server\.pem" \}$/m);
  });

  test("by Consul", () => {
    const ports = { httpPort: 8501, serverPort: 8300, gossipPort: 8301, dataFolder: "/data" };
    expect(JSON.parse(renderConsul({ ...ports, certificate, fragment: {} }))).toMatchObject({
      ports: { http: -1, https: 8501 },
      tls: { https: { cert_file: certificate, key_file: certificate } },
    });
  });

  test("by Cassandra, who asks for name and password, too", () => {
    const configuration = { address: { host: "127.0.0.2", port: 9042 }, seeds: ["127.0.0.1"], token: 0n };
    const yaml = renderCassandra({ ...configuration, storagePort: 7000, folder: "/data", certificate });
    expect(JSON.parse(yaml)).toMatchObject({
      client_encryption_options: { enabled: true, optional: false, keystore: certificate },
      authenticator: "PasswordAuthenticator",
      authorizer: "CassandraAuthorizer",
    });
  });

  test("by PostgreSQL", () => {
    const argv = postgresArguments("/data", 5432, { certificate, accessFile: "/access.conf" });
    expect(argv).toEqual(expect.arrayContaining(["ssl=on", `ssl_key_file=${certificate}`, "hba_file=/access.conf"]));
    expect(tlsOnly.trim().split("\n")).toEqual([expect.stringMatching(/^hostssl .* scram-sha-256$/)]);
  });
});

test("a killed PostgreSQL leaves its shared memory in its folder, which is removed", () => {
  expect(postgresArguments("/data", 5432)).toContain("dynamic_shared_memory_type=mmap");
});

describe("Cassandra", () => {
  test("three nodes share the ring evenly", () => {
    expect(ringTokens(3)).toEqual([-9223372036854775808n, -3074457345618258603n, 3074457345618258602n]);
    expect(ringTokens(1)).toEqual([-9223372036854775808n]);
  });

  test("options of the Java machine stand before its main class", () => {
    const command = memberCommand("/lib", "/conf", "/data");
    const argv = command.slice(command.indexOf("java") + 1);
    expect(argv.at(-1)).toBe("org.apache.cassandra.service.CassandraDaemon");
    expect(argv.slice(0, -1).every((one) => one.startsWith("-") || one === "/conf:/lib/*")).toBe(true);
  });

  test("starts soon by Java's first compiler alone, unless both are wanted", () => {
    const first = "-XX:TieredStopAtLevel=1";
    expect(memberCommand("/lib", "/conf", "/data")).toContain(first);
    expect(memberCommand("/lib", "/conf", "/data", "both")).not.toContain(first);
  });

  // The member is run as its command says, with a program in Java's place that tells what it was given.
  test.runIf(existsSync("/proc/self/timerslack_ns"))(
    "its naps may be longer, and so may those of its threads",
    async () => {
      const [shell = "", ...argv] = memberCommand("/lib", "/conf", "/data");
      const told = argv.slice(0, argv.indexOf("java")).concat("cat", "/proc/self/timerslack_ns");
      expect((await promisify(execFile)(shell, told)).stdout).toBe("500000\n");
    },
  );
});

describe("Consul", () => {
  test("is a server that keeps its data, and a fragment has the last word", () => {
    const ports = { httpPort: 8500, serverPort: 8300, gossipPort: 8301, dataFolder: "/data" };
    expect(JSON.parse(renderConsul({ ...ports, fragment: { log_level: "DEBUG" } }))).toMatchObject({
      server: true,
      bootstrap_expect: 1,
      data_dir: "/data",
      log_level: "DEBUG",
      ports: { http: 8500 },
    });
  });
});

test("NATS servers that are several know all routes, and one that is alone has none", () => {
  expect(renderNats({ ...nats, routes: [3, 4] })).toContain(
    'cluster { name: madang, listen: "127.0.0.1:3", routes: ["nats://127.0.0.1:3", "nats://127.0.0.1:4"] }\n',
  );
  expect(renderNats(nats)).not.toContain("cluster");
});
