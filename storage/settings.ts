// The limits of storage, each with its reason. cluster.config.ts embeds them.

export interface StorageSettings {
  readonly commitWritesMax: number;
  readonly heldBytesMax: number;
  readonly checkpointBytes: number;
  readonly checkpointAfterMs: number;
  readonly checkpointWritesMax: number;
  readonly retryPauseMs: number;
  readonly retryPauseMaxMs: number;
  readonly mapBytesMax: number;
  readonly batchRowsMax: number;
  readonly batchBytesMax: number;
  readonly logWaitingBytesMax: number;
  readonly readAttemptsMax: number;
  readonly replayRowsMax: number;
  readonly replayBytesMax: number;
  readonly requestWithinMs: number;
  readonly connectWithinMs: number;
  readonly requestsInFlightMax: number;
  readonly requestsWaitingMax: number;
  readonly requestsWaitingBytesMax: number;
  readonly togetherAbove: number;
  readonly togetherWritesMax: number;
  readonly togetherBytesMax: number;
  readonly memberInFlightMin: number;
  readonly speculateAfterMs: number;
  readonly speculationsMax: number;
  readonly speculationsWithinMs: number;
  readonly verifiesAtOnce: number;
  readonly verifyLateMs: number;
  readonly verifyEveryFullMs: number;
  readonly pageRowsMax: number;
  readonly pageBytes: number;
  readonly registerWritesMax: number;
  readonly writeAttemptsMax: number;
  readonly revocationKeptMs: number;
}

export const storageDefaults: StorageSettings = {
  commitWritesMax: 10_000, // a commit stays below some 100 ms, so that what waits behind it is not late
  heldBytesMax: 67_108_864, // what a full or slow disk lets gather in memory before senders wait; read back in a second
  checkpointBytes: 16_777_216, // rows that lie in the journal only; more of them take longer to read at the start
  checkpointAfterMs: 30_000, // or so long: what is old is no burst, and its memory is better used
  checkpointWritesMax: 1_000, // rows that go to LMDB at a time: about two milliseconds of the event loop
  retryPauseMs: 50, // a failed commit is sent again after this long,
  retryPauseMaxMs: 2_000, // doubled up to this: a disk that gets room again is noticed within two seconds
  mapBytesMax: 2 ** 40, // address space, not memory: LMDB cannot hold more than this
  batchRowsMax: 64, // of one channel in one batch at a store with replicas, so that a batch stays a small partition write
  batchBytesMax: 262_144, // likewise; one message that is larger goes alone
  logWaitingBytesMax: 4_194_304, // of one channel behind the batch that is under way
  readAttemptsMax: 4, // of a read that has no fence to wait for, before its caller is told that the store is away
  replayRowsMax: 500, // rows that an activation reads at a time, so that a long log does not hold up other actors
  replayBytesMax: 1_048_576,
  requestWithinMs: 2_500, // to a coordinator of the ring: above its own 2 s for a write, so that it answers before we give up
  connectWithinMs: 5_000, // to a member of the ring; a wrong address is told within it
  requestsInFlightMax: 512, // reads and writes of the ring: enough to keep three members busy, and few enough that none is flooded
  requestsWaitingMax: 20_000, // behind those in flight: two or three seconds of work; beyond it callers are refused
  requestsWaitingBytesMax: 67_108_864, // or so many bytes of rows
  togetherAbove: 16, // requests on their way above which appends share one; below, each has its own answer, and sooner
  togetherWritesMax: 8, // writes of one turn in one request to the ring: above ten partitions Cassandra warns
  togetherBytesMax: 4_096, // or so many bytes: above 5 KiB Cassandra warns, and above 50 it refuses; a larger write leaves alone
  memberInFlightMin: 32, // requests without an answer at a member before another is asked in its place: a calm node has a handful
  speculateAfterMs: 250, // what has no answer is asked of another member: one that is paused does not hold up a node
  speculationsMax: 128, // if more is slow than one paused member explains, the ring has too much to do, and gets no more of it
  speculationsWithinMs: 5_000, // for this long
  verifiesAtOnce: 2, // with one, what completes behind a verify waits for the end of it, and then for its own
  verifyLateMs: 10, // a verify that takes longer is not waited for by what comes after it: some ten times what it takes
  verifyEveryFullMs: 20, // while requests wait for a place at the ring, one verify in this time: what it covers has been under way for longer
  pageRowsMax: 1_000, // rows of one answer of the ring,
  pageBytes: 1_048_576, // fewer where rows are large, so that an answer stays about this size
  registerWritesMax: 64, // of one call in flight at once: what is derived leaves room for messages
  writeAttemptsMax: 5, // of a register or a wake row, before its caller is told that the store is away: some 15 s, or twice that where it left with others
  revocationKeptMs: 2_592_000_000, // a month: no process is paused for longer than that and wakes
};
