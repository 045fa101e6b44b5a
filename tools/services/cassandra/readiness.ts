// Whether a node answers, and whether the nodes of a ring see each other. Nobody is asked for a state: a read that needs as
// many replicas as there are running nodes succeeds only when its coordinator sees them all. It reads a table of Cassandra's
// own, which has three replicas and is there from the start.

import { connect } from "node:net";
import cassandra from "cassandra-driver";

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** How one is let in: nothing, where everybody is. */
export type RingAccess = Pick<cassandra.ClientOptions, "credentials" | "sslOptions">;

const ASK_WITHIN_MS = 5_000;
const ownTable = `SELECT status FROM system_distributed.repair_history
  WHERE keyspace_name = 'madang' AND columnfamily_name = 'ready'`;

/** Resolves when the node answers a query itself. */
export async function askNode(node: NodeAddress, access: RingAccess): Promise<void> {
  // The driver tries again and logs; a closed port is told faster by the socket.
  await opens(node);
  await withNode(node, access, (client) => client.execute("SELECT now() FROM system.local"));
}

/** Resolves when each of `running` sees all of `running`, and all have the same schema. Nodes that are away are not in it. */
export async function askRing(running: readonly NodeAddress[], access: RingAccess): Promise<void> {
  const { one, two, three } = cassandra.types.consistencies;
  const consistency = [one, two, three][running.length - 1] ?? three;
  const schemas = new Set<string>();
  for (const node of running) {
    await withNode(node, access, async (client) => {
      await client.execute(ownTable, [], { consistency });
      const { rows } = await client.execute("SELECT schema_version FROM system.local");
      schemas.add(String(rows[0]?.schema_version));
    });
  }
  if (schemas.size > 1) throw new Error("their schemas differ");
}

async function withNode(
  node: NodeAddress,
  access: RingAccess,
  use: (client: cassandra.Client) => Promise<unknown>,
): Promise<void> {
  const { loadBalancing, retry } = cassandra.policies;
  const contactPoint = `${node.host}:${node.port}`;
  const client = new cassandra.Client({
    ...access,
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
