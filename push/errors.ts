// What can go wrong with the push queue, beside what the runtime's own list says.

import { errorList } from "../runtime/index.ts";

export const pushErrors = errorList({
  PUSH_QUEUE_UNFIT: {
    retryable: false,
    executed: "no",
    sentence: "The NATS server cannot hold the push queue; JetStream has to be on, with enough servers and room.",
  },
});
