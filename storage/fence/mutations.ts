// The rules of the fence by name, so that a test can leave one out and see what breaks. Production leaves out none.

export type Rule =
  | "copies" // (3) the first append of an epoch writes the unsettled rows again
  | "tombstone" // (3) the first append of an epoch deletes what is above
  | "bucketTombstone" // (3) so does a batch that starts a bucket
  | "bucketBarrier" // (3) which waits until all below is settled
  | "sameBytes" // (3) a write of unknown outcome is sent again as it was
  | "finishBatches" // (3) a log with a batch in flight is not dropped
  | "rowsAboveTombstones" // a batch's rows have a higher n than its tombstone
  | "verifyAfterAppend" // (4) a verify covers only what had completed before it began
  | "claimFirst" // (1) claims are read after one's own is written
  | "revokeAll" // (1) every older owner is revoked, not the latest only
  | "giveUp" // (1) a higher claim, or another's at the same epoch, ends the tenure
  | "cleanUpLast" // (1) older claims are deleted after the revocations
  | "stopAtRepeated" // (2) a log ends before a (producer, number) that stands lower already
  | "higherRowIsLost"; // (2) a row of a higher epoch ends the tenure

export interface Mutations {
  readonly leaveOut?: Rule;
}
