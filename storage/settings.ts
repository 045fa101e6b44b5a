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
};
