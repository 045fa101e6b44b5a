// What can go wrong with what is kept, beside what the runtime's own list says.

import { errorList } from "../runtime/index.ts";

export const storageErrors = errorList({
  DATA_FOLDER_IN_USE: {
    retryable: false,
    executed: "no",
    sentence: "Another process has the data folder open; stop it, or choose another folder.",
  },
  SCHEMA_TOO_NEW: {
    retryable: false,
    executed: "no",
    sentence: "The data was written by a newer version of Madang; start that one.",
  },
  SCHEMA_MISSING: {
    retryable: false,
    executed: "no",
    sentence: "The keyspace has not got the tables of this version; run `madang schema apply`.",
  },
  CLUSTER_MISMATCH: {
    retryable: false,
    executed: "no",
    sentence: "The keyspace belongs to another cluster, or was made for another number of shards.",
  },
  STORE_UNREACHABLE: {
    retryable: true,
    executed: "no",
    sentence: "No member of the store's ring could be reached.",
  },
  STORE_REFUSED: {
    retryable: false,
    executed: "no",
    sentence: "The store does not accept this user, password or certificate.",
  },
  STORE_CLOSED: {
    retryable: true,
    executed: "maybe",
    sentence: "The store was closed before the write was known to be kept.",
  },
});
