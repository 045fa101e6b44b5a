// The door of the accounts.
export { type EmbeddedAccountsOptions, openEmbeddedAccounts } from "./embedded.ts";
export type { AccountStore, Answered, Device, LogIn, NewLogIn, NewUser, Profile, Rotation } from "./port.ts";
export { applyAccountsSchema, openPostgresAccounts, type PostgresAccountsOptions } from "./postgres.ts";
export { type PostgresSettings, postgresDefaults } from "./settings.ts";
