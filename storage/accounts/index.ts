// The door of the accounts.
export { type EmbeddedAccountsOptions, openEmbeddedAccounts } from "./embedded.ts";
export { accountErrors } from "./errors.ts";
export type { AccountStore, Answered, Device, LogIn, NewLogIn, NewUser, Profile, Rotation } from "./port.ts";
