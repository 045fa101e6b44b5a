// Limits of the HTTP API, each with its reason. cluster.config.ts embeds them.

export interface HttpSettings {
  readonly bodyBytesMax: number;
  readonly requestWithinMs: number;
  readonly accessTokenS: number;
  readonly refreshTokenS: number;
  readonly ticketS: number;
  readonly hashingAtOnceMax: number;
  readonly hashingWaitingMax: number;
  readonly hashMemoryKiB: number;
  readonly hashPasses: number;
  readonly logInsANameMax: number;
  readonly logInsAnAddressMax: number;
  readonly signUpsAnAddressMax: number;
  readonly attemptsWindowMs: number;
  readonly attemptsRememberedMax: number;
  readonly callDeadlineMs: number;
  readonly repairChannelsMax: number;
  readonly corsOrigins: readonly string[];
}

export const httpDefaults: HttpSettings = {
  bodyBytesMax: 65_536, // a group with 100 members and a long title; messages go over the WebSocket
  requestWithinMs: 15_000, // a slow phone; a request that takes longer only holds a socket
  accessTokenS: 900, // short: it cannot be taken back, only the refresh token can
  refreshTokenS: 7_776_000, // 90 days without opening the application is a log-out
  ticketS: 60, // from the answer to the first frame of the socket
  hashingAtOnceMax: 2, // a hash takes a core for tens of milliseconds: sockets come first
  hashingWaitingMax: 64, // some seconds of work; beyond it the client is told to come again
  hashMemoryKiB: 19_456, // OWASP's least for argon2id with two passes
  hashPasses: 2,
  logInsANameMax: 20, // within the window, over all nodes: a person mistypes, a program guesses
  logInsAnAddressMax: 2_000, // within the window, of each node: an office behind one address
  signUpsAnAddressMax: 2_000, // likewise
  attemptsWindowMs: 900_000,
  attemptsRememberedMax: 100_000, // addresses counted at once, by each node; the oldest are forgotten
  callDeadlineMs: 5_000, // what an actor may take
  repairChannelsMax: 100, // of one request of an operator: each is asked twice, and is in memory afterwards
  corsOrigins: ["http://localhost:8080", "http://127.0.0.1:8080"], // pages that may call
};
