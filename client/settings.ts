// Limits of the SDK, each with its reason.

export interface ClientSettings {
  readonly connectWithinMs: number;
  readonly httpWithinMs: number;
  readonly answerWithinMs: number;
  readonly beatsMissedMax: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  readonly sendsInFlightMax: number;
  readonly sendsInFlightAChannelMax: number;
  readonly outboxItemsMax: number;
  readonly stragglersMs: number;
  readonly requestsInFlightMax: number;
  readonly ackDelayMs: number;
  readonly acksAtOnceMax: number;
  readonly syncDelayMs: number;
  readonly chainMax: number;
  readonly bufferedEntriesMax: number;
  readonly recentEntriesMax: number;
  readonly repairsInFlightMax: number;
  readonly repairPageEntries: number;
  readonly typingEveryMs: number;
  readonly storeRetryMs: number;
  readonly tokenMarginMs: number;
  readonly region: string;
  readonly avoidMs: number;
  readonly avoidedMax: number;
}

export const clientDefaults: ClientSettings = {
  connectWithinMs: 15_000, // from the ticket to the welcome, on a slow net
  httpWithinMs: 15_000, // one HTTP request
  answerWithinMs: 15_000, // three times the server's own deadline: then the connection is taken for dead
  beatsMissedMax: 2.5, // so many heart-beats without any frame, and the connection is taken for dead
  backoffBaseMs: 250, // the first retry waits half of it on average
  backoffCapMs: 15_000, // a server that comes back is found within this
  sendsInFlightMax: 32, // of all channels: half of what the server takes of one session
  sendsInFlightAChannelMax: 16, // as many numbers as the server remembers ids of, so that each resend is answered with its id
  outboxItemsMax: 1_000, // unacknowledged sends: further ones are refused with OUTBOX_FULL
  stragglersMs: 10_000, // twice the server's deadline: then no attempt of a lost connection can still be executed
  requestsInFlightMax: 56, // below the 64 that the server takes of one session
  ackDelayMs: 200, // acknowledgements of one burst become one frame a channel
  acksAtOnceMax: 20, // channels a burst: a first sync of thousands stays below the server's limit of frames
  syncDelayMs: 100, // gaps that are seen together are repaired by one sync
  chainMax: 1_024, // deliveries remembered while a sync runs; beyond it another sync follows
  bufferedEntriesMax: 500, // entries of one channel above a hole; what is dropped comes again by history
  recentEntriesMax: 100, // entries of one channel kept at hand for the application
  repairsInFlightMax: 4, // channels whose holes are filled at once: the rest of the line is for the person
  repairPageEntries: 100, // one page of a repair: a page of longest texts still fits the server's limit of bytes
  typingEveryMs: 3_000, // a typing notice is repeated no faster
  storeRetryMs: 1_000, // a store that failed is tried again after this
  tokenMarginMs: 30_000, // an access token is renewed so long before it ends
  region: "", // where the device is, as the operator names regions; gateways there are preferred
  avoidMs: 30_000, // a gateway that broke off is not asked for again so soon: by then the cluster knows whether it lives
  avoidedMax: 8, // such gateways that are remembered
};
