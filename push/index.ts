// The door of push notifications: the queue that the user actors fill, and the worker that empties it.
export { createLogProvider, logRegistration } from "./provider/log.ts";
export type { Notification, PushOutcome, PushProvider, Registration } from "./provider/port.ts";
export { type JetStreamPushQueueOptions, openJetStreamPushQueue } from "./queue/jetstream.ts";
export { type LocalPushQueueOptions, openLocalPushQueue } from "./queue/local.ts";
export type { PushDelivery, PushQueue, PushQueueStats } from "./queue/port.ts";
export { type PushSettings, pushDefaults } from "./settings.ts";
export { type PushWorker, type PushWorkerOptions, type PushWorkerStats, startPushWorker } from "./worker.ts";
