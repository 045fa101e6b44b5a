// The door of what is kept. Accounts have a door of their own.
export { listChannels } from "./cql/channels.ts";
export type { RingAddress } from "./cql/connect.ts";
export { type AppliedSchema, applyCqlSchema, type CqlSchemaOptions } from "./cql/schema.ts";
export { type CqlOptions, openCqlStores } from "./cql/stores.ts";
export { type EmbeddedOptions, openEmbeddedStores } from "./embedded/stores.ts";
export { storageErrors } from "./errors.ts";
export type { JobRow, JobStore } from "./jobs/port.ts";
export type { SharedStores } from "./local-stores.ts";
export type { ChannelLog, ChannelLogStore, LogEvents, LogHint, LogRange, LogRow } from "./log/port.ts";
export { createMemoryStores, type MemoryOptions } from "./memory/stores.ts";
export type { Register, RegisterFamily, RegisterStore, RegisterWrite } from "./registers/port.ts";
export { type StorageSettings, storageDefaults } from "./settings.ts";
export type { RingStats, StoreStats, Stores } from "./stores.ts";
export type { WakeList, WakeRow } from "./wake/port.ts";
