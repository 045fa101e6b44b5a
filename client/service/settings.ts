// Limits of a service, each with its reason.

export interface ServiceSettings {
  readonly callDeadlineMs: number;
  readonly callsWaitingMax: number;
  readonly retryPauseMs: number;
  readonly retryPauseMaxMs: number;
  readonly repeatAfterMs: number;
  readonly piecesBytesMax: number;
  readonly followLeaseMs: number;
  readonly followRenewMs: number;
  readonly followPageEntries: number;
  readonly followReadyMax: number;
  readonly followEarlyMax: number;
  readonly followBytesMax: number;
  readonly connectWithinMs: number;
  readonly reconnectPauseMs: number;
  readonly pingEveryMs: number;
  readonly pingsUnansweredMax: number;
}

export const serviceDefaults: ServiceSettings = {
  callDeadlineMs: 10_000, // longer than a cluster needs to replace a node that died
  callsWaitingMax: 1_000, // a service that asks faster than it is answered is told so at once
  retryPauseMs: 20, // first pause before a call that did not run is sent again
  retryPauseMaxMs: 500, // a shard that moves is away for less than that
  repeatAfterMs: 1_500, // a call that may run twice and has no answer by then is sent again: its node may be dead
  piecesBytesMax: 33_554_432, // of replies that came in pieces and are not whole yet; a node sends at most half of it in one
  followLeaseMs: 20_000, // a service that died is told nothing after this; four renewals may be lost
  followRenewMs: 5_000, // how late a loss is seen behind which nothing follows, such as of the channel's owner
  followPageEntries: 200, // the server's largest page: fewer reads for a follower that was away for long
  followReadyMax: 1_000, // entries that wait for the application; what comes beyond is read again from the log
  followEarlyMax: 500, // entries that came above a hole; likewise
  followBytesMax: 8_388_608, // or so many bytes, of either: texts may be long
  connectWithinMs: 5_000, // of the start; later it tries for ever
  reconnectPauseMs: 200, // and as much again by chance, so that services do not come back all at once
  pingEveryMs: 1_000, // a server that has fallen silent is given up within four seconds, as by nodes
  pingsUnansweredMax: 3, // with the next one
};
