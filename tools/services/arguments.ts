import { parseArgs } from "node:util";
import { servicesErrors } from "./errors.ts";
import { type EngineName, engineNames } from "./provision.ts";

export const usage = `make services, or: node --import tsx tools/services/main.ts [options] [-- COMMAND …]

Starts NATS, Consul, Cassandra and PostgreSQL on loopback, prints where they are, and ends them at Ctrl-C.
With a command: runs it with the addresses in its environment, ends all, and exits with its code.
An engine whose address is in the environment already (NATS_URL, CONSUL_HTTP_ADDR, CQL_CONTACT_POINTS, DATABASE_URL) is used
and not started.

  --only a,b        of nats, consul, cassandra, postgres
  --cassandra 1|3   nodes of the ring (3)
  --nats 1|3        servers with routes to each other (1)
  --fixed           ports 4222, 8500, 9042, 5432 instead of free ones
  --data DIR        keep the data there, and use it again
  --provision       only lay down what is missing (MADANG_CACHE says where), start nothing
`;

export interface Arguments {
  readonly help: boolean;
  readonly only: readonly EngineName[];
  readonly cassandraNodes: 1 | 3;
  readonly natsServers: 1 | 3;
  readonly fixedPorts: boolean;
  readonly provisionOnly: boolean;
  readonly dataFolder: string | undefined;
  /** Empty: stay in the foreground. */
  readonly command: readonly string[];
}

export function parseArguments(argv: readonly string[]): Arguments {
  const end = argv.indexOf("--");
  const own = end === -1 ? argv : argv.slice(0, end);
  const values = parse(own);
  const only = values.only === undefined ? engineNames : values.only.split(",").map(engineName);
  if (end !== -1 && end === argv.length - 1) refuse("-- is followed by a command");
  return {
    help: values.help ?? false,
    only,
    cassandraNodes: oneOrThree("cassandra", values.cassandra ?? "3"),
    natsServers: oneOrThree("nats", values.nats ?? "1"),
    fixedPorts: values.fixed ?? false,
    provisionOnly: values.provision ?? false,
    dataFolder: values.data,
    command: end === -1 ? [] : argv.slice(end + 1),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        help: { type: "boolean" },
        only: { type: "string" },
        cassandra: { type: "string" },
        nats: { type: "string" },
        fixed: { type: "boolean" },
        provision: { type: "boolean" },
        data: { type: "string" },
      },
    }).values;
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function oneOrThree(option: string, value: string): 1 | 3 {
  if (value !== "1" && value !== "3") refuse(`--${option} takes 1 or 3, not ${value}`);
  return value === "1" ? 1 : 3;
}

function engineName(name: string): EngineName {
  return engineNames.find((known) => known === name) ?? refuse(`there is no engine ${name}`);
}

function refuse(message: string): never {
  throw servicesErrors.BAD_ARGUMENTS({ message });
}
