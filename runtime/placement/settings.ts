// The limits of membership and placement, each with its reason. cluster.config.ts embeds them.

export interface PlacementSettings {
  readonly sessionTtlMs: number;
  readonly renewEveryMs: number;
  readonly renewRetryMs: number;
  readonly leaseMs: number;
  readonly beatEveryMs: number;
  readonly observers: number;
  readonly suspectMs: number;
  readonly absentMs: number;
  readonly tickMs: number;
  readonly surveyMs: number;
  readonly greetingMs: number;
  readonly settleMs: number;
  readonly electionStepMs: number;
  readonly handoffMs: number;
  readonly handoffResendMs: number;
  readonly movesAtOnce: number;
  readonly arrivalMs: number;
  readonly unfairShare: number;
  readonly memberWriteMs: number;
  readonly refreshMs: number;
  readonly storeRetryMs: number;
  readonly corruptRetryMs: number;
  readonly clockSkewMs: number;
  readonly controlBytesMax: number;
  readonly epochGap: number;
  readonly drainMs: number;
}

export const placementDefaults: PlacementSettings = {
  sessionTtlMs: 10_000, // the shortest that Consul grants
  renewEveryMs: 3_000, // two renewals may fail before the lease is over
  renewRetryMs: 1_000, // after one that failed
  leaseMs: 8_000, // after the last renewal that was granted was sent: before Consul can have ended the session
  beatEveryMs: 1_000, // four may be lost before silence means anything
  observers: 3, // that a node beats to beside the coordinator: two remain when one of them dies together with it
  suspectMs: 5_000, // longer than a long pause of the collector; service has to be back within 8 s
  absentMs: 2_500, // silence that is enough when Consul does not list the node any more
  tickMs: 250, // how finely silence is seen
  surveyMs: 500, // a new coordinator waits no longer for who does not answer
  greetingMs: 500, // a starting node waits so long for an older incarnation, or for another cluster, to answer
  settleMs: 500, // nodes that start together share the shards at once instead of moving them afterwards
  electionStepMs: 1_000, // the next in line takes over when the one before it has not
  handoffMs: 20_000, // then the fence covers the rest
  handoffResendMs: 1_000, // a lost message costs a second
  movesAtOnce: 16, // shards without service at the same time, when nothing is broken: with more, they wait for each other
  arrivalMs: 2_000, // a new owner that has not begun to serve by then holds up no further moves
  unfairShare: 0.1, // by how much a node's part may differ from the mean before shards move
  memberWriteMs: 5_000, // how often the count of sessions is written: Consul tells every node of every write
  refreshMs: 200, // a node that has missed a change reads the table at most so often
  storeRetryMs: 1_000, // pause after Consul did not answer
  corruptRetryMs: 5_000, // how often a table that cannot be read is looked at, until the operator has removed it
  clockSkewMs: 30_000, // between a node's wall and Consul's: times that people read would be wrong
  controlBytesMax: 65_536, // the largest, a survey of 1,024 shards, takes 10 KB
  epochGap: 1_000, // after Consul's data went back: epochs that only a node knows which does not answer
  drainMs: 30_000, // all shards of one of three nodes leave in a tenth of it
};
