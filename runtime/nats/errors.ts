// What can go wrong between a node and NATS before it serves anybody. Later, silence and UNAVAILABLE tell it.

import { errorList } from "../errors.ts";

export const natsErrors = errorList({
  NATS_UNREACHABLE: { retryable: true, executed: "no", sentence: "No NATS server answers at this address." },
  NATS_REFUSED: { retryable: false, executed: "no", sentence: "The NATS server does not let this node in." },
  NATS_UNFIT: { retryable: false, executed: "no", sentence: "The NATS server cannot do what a cluster needs." },
});
