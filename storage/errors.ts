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
    sentence: "The data folder was written by a newer version of Madang; start that one.",
  },
  STORE_CLOSED: {
    retryable: true,
    executed: "maybe",
    sentence: "The store was closed before the write was known to be kept.",
  },
});
