// Limits of the WebSocket edge, each with its reason. cluster.config.ts embeds them.

export interface GatewaySettings {
  readonly frameBytesMax: number;
  readonly frameBytesBeforeHelloMax: number;
  readonly cutBytesMax: number;
  readonly unknownFieldsMax: number;
  readonly helloWithinMs: number;
  readonly frameWithinMs: number;
  readonly requestsInFlightMax: number;
  readonly framesASecond: number;
  readonly framesBurst: number;
  readonly connectionsMax: number;
  readonly connectionsAnAddressMax: number;
  readonly highWaterBytes: number;
  readonly lowWaterBytes: number;
  readonly backpressureBytesMax: number;
  readonly heldPushesMax: number;
  readonly reportEveryMs: number;
  readonly requestDeadlineMs: number;
  readonly origins: readonly string[];
  readonly goAwayWithinMs: number;
  readonly closeWaveSessions: number;
}

export const gatewayDefaults: GatewaySettings = {
  frameBytesMax: 524_288, // a text of 100,000 code points of four bytes each, and what stands around it
  frameBytesBeforeHelloMax: 4_096, // a ticket and a cursor; strangers get no more
  cutBytesMax: 1_048_576, // beyond it the connection is cut without a word: the frame is never held in memory
  unknownFieldsMax: 256, // of one frame: several of a newer version in each of 32 files; each becomes an object here
  helloWithinMs: 10_000, // a slow phone on a slow net manages; one that says nothing costs a descriptor
  frameWithinMs: 30_000, // beats come every 5 s: who completes no frame for so long is not there
  requestsInFlightMax: 64, // of one session: twice what the SDK sends ahead
  framesASecond: 200, // of one session, sustained: far above a person, far below a flood
  framesBurst: 1_000, // at once: a device that was offline has something to say
  connectionsMax: 18_000, // of one process: below the usual limit of 20,000 descriptors
  connectionsAnAddressMax: 2_000, // a large office behind one address
  highWaterBytes: 262_144, // then a session is no longer fed
  lowWaterBytes: 32_768, // and when so little is left, it is told to sync
  backpressureBytesMax: 2_097_152, // answers to its own requests that a reader may leave unread
  heldPushesMax: 256, // pushes that come before the answer to the attach
  reportEveryMs: 30_000, // a third of the lease that a presence actor gives a session
  requestDeadlineMs: 5_000, // then the client is told that the outcome is unknown
  origins: ["http://localhost:8080", "http://127.0.0.1:8080"], // pages that may connect; programs send no Origin
  goAwayWithinMs: 10_000, // clients of a node that stops come back spread over so long
  closeWaveSessions: 2_000, // sockets closed, or attached anew, in one go: between two waves the others are served
};
