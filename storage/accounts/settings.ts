// The limits of accounts on PostgreSQL, each with its reason. cluster.config.ts embeds them.

export interface PostgresSettings {
  readonly connectionsMax: number;
  readonly waitingMax: number;
  readonly connectWithinMs: number;
  readonly statementWithinMs: number;
  readonly lockWithinMs: number;
  readonly transactionIdleMs: number;
  readonly idleConnectionMs: number;
  readonly workerLeaseMs: number;
  readonly schemaWithinMs: number;
}

export const postgresDefaults: PostgresSettings = {
  connectionsMax: 10, // of one node: a server takes 100 by default, and each costs it some megabytes
  waitingMax: 1_000, // callers that wait for a connection: about a second of work; beyond it they are refused at once
  connectWithinMs: 3_000, // to connect, or to wait for a connection: a client does not wait longer for its answer
  statementWithinMs: 5_000, // then the server ends it: every query here takes milliseconds
  lockWithinMs: 2_000, // for a row that another transaction holds: those are of milliseconds too
  transactionIdleMs: 10_000, // a node that paused in the middle must not hold its rows longer
  idleConnectionMs: 30_000, // then a connection that nobody needs is given back to the server
  workerLeaseMs: 60_000, // of the number that ids carry: 1,024 nodes may come and go within so long
  schemaWithinMs: 300_000, // for one step of the schema, and for waiting until another has applied it
};
