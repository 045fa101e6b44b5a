// What keeps a node out of the cluster, and what an operator's order is refused with.

import { errorList } from "../errors.ts";

export const clusterErrors = errorList({
  CONSUL_UNREACHABLE: { retryable: true, executed: "maybe", sentence: "Consul did not answer." },
  CONSUL_FORBIDDEN: { retryable: false, executed: "no", sentence: "Consul refused the token; it needs a policy." },
  CONSUL_GARBAGE: { retryable: false, executed: "maybe", sentence: "What answers at Consul's address is not Consul." },
  CONTROL_UNREACHABLE: { retryable: true, executed: "no", sentence: "There is no way to the other nodes." },
  SHARD_COUNT_MISMATCH: { retryable: false, executed: "no", sentence: "The cluster has another number of shards." },
  NAME_IN_USE: { retryable: true, executed: "no", sentence: "A node of this name is alive." },
  CLUSTER_MISMATCH: { retryable: false, executed: "no", sentence: "Another cluster uses the same name." },
  CLOCK_SKEW: { retryable: true, executed: "no", sentence: "The clock of this machine is far from Consul's." },
  PLACEMENT_CORRUPT: {
    retryable: false,
    executed: "no",
    sentence: "The placement table cannot be read; an operator has to remove it.",
  },
  NOT_COORDINATOR: { retryable: true, executed: "no", sentence: "Another node is the coordinator." },
  NO_SUCH_SHARD: { retryable: false, executed: "no", sentence: "There is no shard of this number." },
  NO_SUCH_NODE: { retryable: false, executed: "no", sentence: "No node of this name takes shards." },
  NOT_MOVED: { retryable: true, executed: "maybe", sentence: "The shard went another way, or did not move in time." },
  NOT_DRAINED: { retryable: true, executed: "maybe", sentence: "Some shards had nowhere to go in time." },
});
