// Limits of the chat domain, each with its reason. cluster.config.ts embeds them.

export interface ChatSettings {
  readonly textCharactersMax: number;
  readonly contentBytesMax: number;
  readonly attachmentsMax: number;
  readonly reactionCharactersMax: number;
  readonly groupMembersMax: number;
  readonly producersAMemberMax: number;
  readonly recentNumbersMax: number;
  readonly deletionsRememberedMax: number;
  readonly snapshotEntries: number;
  readonly snapshotBytes: number;
  readonly historyPageMax: number;
  readonly historyPageDefault: number;
  readonly historyBytesMax: number;
  readonly deliverBytesMax: number;
  readonly fanOutEveryMs: number;
  readonly redeliverAfterMs: number;
  readonly pointerFlushMs: number;
  readonly pushFlushMs: number;
  readonly watermarkFlushMs: number;
  readonly receiptFlushMs: number;
  readonly syncPointersMax: number;
  readonly syncNewestMax: number;
  readonly syncNewestBytesMax: number;
  readonly channelPassivateAfterMs: number;
  readonly userPassivateAfterMs: number;
  readonly presencePassivateAfterMs: number;
  readonly heartbeatMs: number;
  readonly silentAfterMs: number;
  readonly offlineAfterMs: number;
  readonly sessionLeaseMs: number;
  readonly sessionsAUserMax: number;
  readonly watchLeaseMs: number;
  readonly watchersMax: number;
  readonly followersMax: number;
  readonly followLeaseMsMax: number;
  readonly pushAfterMs: number;
  readonly pushWatchedMax: number;
}

export const chatDefaults: ChatSettings = {
  textCharactersMax: 100_000, // the promise of the product, in Unicode code points
  contentBytesMax: 450_000, // 100,000 code points of four bytes, and a little for what stands around them
  attachmentsMax: 32, // files of one message: more than a person picks at once, and few enough for one screen
  reactionCharactersMax: 32, // the longest emoji are a dozen code points; a reaction is a sign, not a text
  groupMembersMax: 100, // the promise of the product; fan-out is counted with it
  producersAMemberMax: 20, // outboxes of one user that a channel remembers: devices, tabs and a few restored ones
  recentNumbersMax: 16, // of a producer, whose ids are known without a look into the log: more than a client has in flight
  deletionsRememberedMax: 1_000, // of a channel, some KiB of its snapshot; what is older than a forgotten one is not edited
  snapshotEntries: 100, // an activation reads at most so many entries on top of a snapshot
  snapshotBytes: 262_144, // or so many bytes
  historyPageMax: 200, // a page has to fit a frame
  historyPageDefault: 50, // two screens
  historyBytesMax: 1_048_576, // of one page: it is held in memory once for each asker
  deliverBytesMax: 262_144, // of one delivery: a slow link gets its first entries soon
  fanOutEveryMs: 50, // of one channel: faster than anybody reads, and a hundred busy messages cost like ten
  redeliverAfterMs: 10_000, // well above the time in which a healthy user actor confirms
  pointerFlushMs: 5_000, // what is said and answered meanwhile becomes one write; the wake list covers the time between
  pushFlushMs: 2_000, // of pointers that a push notification waits for: what comes in one burst becomes one of it
  watermarkFlushMs: 300, // that somebody has read is not written one by one, and seen within a second
  receiptFlushMs: 300, // of one channel: a hundred who read at once are a hundred frames and not ten thousand
  syncPointersMax: 200, // channels in one answer: a first page is on the screen before the last has left
  syncNewestMax: 20, // messages a channel: one screen
  syncNewestBytesMax: 65_536, // or so many bytes
  channelPassivateAfterMs: 300_000, // five minutes of silence
  userPassivateAfterMs: 60_000, // a user without a session needs no memory
  presencePassivateAfterMs: 60_000, // likewise
  heartbeatMs: 5_000, // what clients are asked for
  silentAfterMs: 12_000, // two beats missed, and a little
  offlineAfterMs: 30_000, // a tunnel is shorter than that
  sessionLeaseMs: 90_000, // a gateway that died says nothing: its sessions are forgotten after this
  sessionsAUserMax: 20, // devices of one user at once: each gets every push; the newest replaces the oldest
  watchLeaseMs: 300_000, // a watcher that died is told nothing after this
  watchersMax: 5_000, // friends online at once who watch one user
  followersMax: 50, // internal services that are told of one channel's entries, each entry once a service
  followLeaseMsMax: 60_000, // a service that died is told nothing after this, and the channel may leave memory
  pushAfterMs: 10_000, // attached devices that acknowledge nothing for so long are pushed to: a radio has woken up by then
  pushWatchedMax: 100_000, // pointers of a node that wait for that, or for a queue that has refused their job, some MB; beyond it the job is made at once, or given up
};
