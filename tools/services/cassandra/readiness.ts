// Whether a node answers, and whether the nodes of a ring see each other. Nobody is asked for a state: a write that needs as
// many replicas as there are running nodes succeeds only when its coordinator sees them all.

import { connect } from "node:net";
import cassandra from "cassandra-driver";

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

const ASK_WITHIN_MS = 2_000;
const DDL_WITHIN_MS = 20_000;
const keyspace = "madang_services";

/** Resolves when the node answers a query itself. */
export async function askNode(node: NodeAddress): Promise<void> {
  // The driver tries again and logs; a closed port is told faster by the socket.
  await opens(node);
  await withNode(node, (client) => client.execute("SELECT now() FROM system.local"));
}

/** Makes the keyspace that `askRing` writes to: as many replicas as nodes. */
export async function prepareRing(nodes: readonly NodeAddress[]): Promise<void> {
  await withNode(nodes[0] as NodeAddress, async (client) => {
    const options = { readTimeout: DDL_WITHIN_MS };
    await client.execute(
      `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': ${nodes.length}}`,
      [],
      options,
    );
    await client.execute(
      `CREATE TABLE IF NOT EXISTS ${keyspace}.ready (node text PRIMARY KEY, seen timestamp)`,
      [],
      options,
    );
  });
}

/** Resolves when each of `running` has written to all of `running`. Nodes that are away on purpose are not in it. */
export async function askRing(running: readonly NodeAddress[], ofNodes: number): Promise<void> {
  const { one, two, three, all } = cassandra.types.consistencies;
  const consistency = running.length === ofNodes ? all : ([one, two, three][running.length - 1] ?? all);
  for (const node of running) {
    await withNode(node, (client) =>
      client.execute(
        `INSERT INTO ${keyspace}.ready (node, seen) VALUES ('${node.host}', toTimestamp(now())) USING TTL 60`,
        [],
        { consistency },
      ),
    );
  }
}

async function withNode(node: NodeAddress, use: (client: cassandra.Client) => Promise<unknown>): Promise<void> {
  const { loadBalancing, retry } = cassandra.policies;
  const contactPoint = `${node.host}:${node.port}`;
  const client = new cassandra.Client({
    contactPoints: [contactPoint],
    localDataCenter: "datacenter1",
    policies: {
      // This node and no other: its answer is asked for.
      loadBalancing: new loadBalancing.WhiteListPolicy(new loadBalancing.RoundRobinPolicy(), [contactPoint]),
      retry: new retry.FallthroughRetryPolicy(),
    },
    socketOptions: { connectTimeout: ASK_WITHIN_MS, readTimeout: ASK_WITHIN_MS },
  });
  try {
    await client.connect();
    await use(client);
  } finally {
    await client.shutdown();
  }
}

function opens({ host, port }: NodeAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}
