// The runtime's limits, each with its reason. cluster.config.ts embeds them.

export interface RuntimeSettings {
  readonly shardCount: number;
  readonly callDeadlineMs: number;
  readonly mailboxMessagesMax: number;
  readonly mailboxBytesMax: number;
  readonly nodeMessagesMax: number;
  readonly nodeBytesMax: number;
  readonly activationsMax: number;
  readonly activatingMax: number;
  readonly heapShareMax: number;
  readonly restAfterMs: number;
  readonly sweepEveryMs: number;
  readonly deadlineSweepMs: number;
  readonly retryPauseMs: number;
  readonly retryPauseMaxMs: number;
  readonly handoffMs: number;
  readonly wakeSlotMs: number;
  readonly parkAfterFailures: number;
  readonly parkWindowMs: number;
  readonly parkMs: number;
  readonly hopsMax: number;
  readonly batchBytesSoft: number;
  readonly batchBytesMax: number;
  readonly linkBeatMs: number;
  readonly linkBeatsAfterUse: number;
  readonly servicesAllowed: readonly string[];
}

export const runtimeDefaults: RuntimeSettings = {
  shardCount: 1_024, // fixed for the life of a cluster: small enough for one table, fine enough for hundreds of nodes
  callDeadlineMs: 5_000, // longer than a fail-over's first retry, shorter than a person's patience
  mailboxMessagesMax: 1_000, // a second of a busy actor's work: more waiting would only miss its deadline
  mailboxBytesMax: 1_048_576, // two of the largest messages still fit
  nodeMessagesMax: 20_000, // what one core works off within a second
  nodeBytesMax: 67_108_864, // bounds what mailboxes add to the heap
  activationsMax: 100_000, // at a few KB each, some hundred MB
  activatingMax: 128, // reads of the store at once: a cold start must not stampede it
  heapShareMax: 0.75, // above it idle actors leave, before the collector takes the time
  restAfterMs: 20_000, // an actor that stays in memory, such as of an idle session, lets go of what can be read again
  sweepEveryMs: 1_000, // how finely idleness is seen
  deadlineSweepMs: 50, // how finely deadlines are seen
  retryPauseMs: 10, // first pause before a call that did not run is tried again
  retryPauseMaxMs: 200, // a hand-off takes less than 300 ms: no longer pause than that
  handoffMs: 20_000, // then the fence covers the rest
  wakeSlotMs: 600_000, // one row per actor and ten minutes, so that it costs nothing a message
  parkAfterFailures: 3, // an actor that cannot activate is left alone for a while
  parkWindowMs: 60_000,
  parkMs: 30_000,
  hopsMax: 2, // a stale table may send mail astray twice; more is a loop
  batchBytesSoft: 262_144, // envelopes for one node that leave together: well below what the network takes in one message
  batchBytesMax: 16_777_216, // one envelope: a full sync of two hundred busy channels still fits
  linkBeatMs: 1_000, // a push that was lost is noticed after at most this long, and repaired within two seconds
  linkBeatsAfterUse: 10, // so many in a row are lost only with the whole connection, which is noticed by itself
  servicesAllowed: [], // "name:Service.method", or "name:Service.*": nobody may anything until somebody says so
};
