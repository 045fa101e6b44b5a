// Of the driver's own parts, which its types do not name. storage/cql/prepare.test.ts looks whether it is still there.
declare module "cassandra-driver/lib/prepare-handler.js" {
  import type { Client, policies } from "cassandra-driver";

  const PrepareHandler: {
    getPrepared(
      client: Client,
      loadBalancing: policies.loadBalancing.LoadBalancingPolicy,
      query: string,
      keyspace: string,
    ): Promise<{ readonly queryId: Buffer }>;
  };
  export default PrepareHandler;
}
