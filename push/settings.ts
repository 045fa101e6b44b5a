// The limits of push notifications, each with its reason. cluster.config.ts embeds them. When a job is made is a matter of the
// chat (pushAfterMs there).

export interface PushSettings {
  readonly collapseMs: number;
  readonly rememberedMax: number;
  readonly rememberedMs: number;
  readonly inFlightMax: number;
  readonly sendsAtOnceMax: number;
  readonly askWithinMs: number;
  readonly sendWithinMs: number;
  readonly attemptsMax: number;
  readonly retryPauseMs: number;
  readonly retryPauseMaxMs: number;
  readonly jobAgeMaxMs: number;
  readonly dedupeMs: number;
  readonly jobsMax: number;
  readonly dedupeIdsMax: number;
  readonly deadJobsMax: number;
  readonly replicas: number;
  readonly queueBytesMax: number;
  readonly deadBytesMax: number;
  readonly deadAgeMaxMs: number;
  readonly enqueuingMax: number;
  readonly publishAtOnceMax: number;
  readonly enqueueTryMs: number;
  readonly enqueueWithinMs: number;
  readonly ackWithinMs: number;
  readonly ackPendingMax: number;
  readonly pullMs: number;
  readonly pullMax: number;
}

export const pushDefaults: PushSettings = {
  // the worker
  collapseMs: 3_000, // a channel that goes on tells a device once in this time; the first message goes at once
  rememberedMax: 50_000, // (user, channel) that were told of lately, some MB: what comes again for them is known
  rememberedMs: 60_000, // longer than a job takes to come again after a lost acknowledgement
  inFlightMax: 1_000, // jobs that one worker holds: two seconds of a provider's usual pace, and little to repeat after a crash
  sendsAtOnceMax: 64, // channels that are told of at once; providers ask for few connections with many streams
  askWithinMs: 5_000, // of the user's actor, which may be on its way to another node
  sendWithinMs: 10_000, // of a provider: one that hangs is as good as away
  attemptsMax: 8, // with the pauses below about half an hour to three quarters: a provider's outage, not a lost phone
  retryPauseMs: 5_000, // before the second attempt,
  retryPauseMaxMs: 900_000, // doubled up to this
  // the queue
  jobAgeMaxMs: 86_400_000, // nobody wants to be told of yesterday's message as if it were new
  dedupeMs: 600_000, // within it one (user, channel, message, kind) is one job: longer than a fail-over and its retries
  jobsMax: 100_000, // that wait on one node's own queue, some 20 MB; beyond it jobs are refused and counted
  dedupeIdsMax: 200_000, // ids that one node's own queue remembers, likewise; beyond it the oldest is forgotten
  deadJobsMax: 1_000, // dead letters that one node's own queue keeps: enough to see what went wrong
  replicas: 3, // of the streams; 1 on a NATS server that is alone, where more are refused
  queueBytesMax: 1_073_741_824, // of the stream, about five million jobs; beyond it jobs are refused and counted
  deadBytesMax: 104_857_600, // of the stream of dead letters; the oldest leave for new ones
  deadAgeMaxMs: 1_209_600_000, // two weeks: somebody has looked by then
  enqueuingMax: 10_000, // jobs of one node that are on their way to the stream; beyond it jobs are refused and counted
  publishAtOnceMax: 500, // of them before the stream's word: a stream that syncs each job takes less than a try for so many
  enqueueTryMs: 2_000, // before the same job is sent again; the stream knows it by its id
  enqueueWithinMs: 7_000, // all tries of a job: an election of the stream's leader is mostly over; and a channel has not delivered again
  ackWithinMs: 30_000, // a worker that is alive says so in a third of it; the jobs of one that is not go to another after it
  ackPendingMax: 100_000, // jobs held by all workers and jobs that wait to be tried again: an outage must not stop new ones
  pullMs: 5_000, // how long one request for jobs stays with the server
  pullMax: 256, // jobs that one request may bring: what a worker takes at a time, so that others get some
};
