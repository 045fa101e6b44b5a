// What keeps an engine from being there, and what to do about it.

import { errorList } from "../../runtime/errors.ts";

export const servicesErrors = errorList({
  TOOL_MISSING: { retryable: false, executed: "no", sentence: "A tool that builds or starts the engines is missing." },
  STEP_FAILED: { retryable: true, executed: "maybe", sentence: "A command that lays down an engine failed." },
  NOT_READY: { retryable: true, executed: "maybe", sentence: "An engine ended early, or did not answer in time." },
  NOT_STARTED: { retryable: false, executed: "no", sentence: "The engine was not started here." },
  NO_PORT: { retryable: true, executed: "no", sentence: "An address that the engine needs is taken." },
  BAD_ARGUMENTS: { retryable: false, executed: "no", sentence: "The command line is not understood." },
});
