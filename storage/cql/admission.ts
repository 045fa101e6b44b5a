// How many requests of this node are on their way to the ring at once, how many wait behind them, and who is refused.
//
// (A1) What waits leaves in the order of its arrival.
// (A2) What is urgent does not wait and is not refused. There is little of it by its nature (one verify a node, a few
//      requests a claim), and everything else waits for it: an acknowledgement behind a flood of registers helps nobody.

import { runtimeErrors } from "../../runtime/index.ts";
import { storageErrors } from "../errors.ts";
import type { StorageSettings } from "../settings.ts";

type Limits = Pick<
  StorageSettings,
  "requestsInFlightMax" | "requestsWaitingMax" | "requestsWaitingBytesMax" | "retryPauseMaxMs"
>;

/** What failed of what was let go, where somebody counts it. */
export interface Failures {
  failed: number;
}

interface Waiting {
  readonly bytes: number;
  start(): void;
  refuse(error: Error): void;
}

/** Places of those who have left, before the list is moved together. */
const GONE_MAX = 1_024;

export class Admission {
  readonly #limits: Limits;
  #waiting: (Waiting | undefined)[] = [];
  /** Where the first that waits stands: moving all of them up one by one would cost more than the requests. */
  #first = 0;
  #closed = false;
  inFlight = 0;
  waitingBytes = 0;
  refused = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#waiting.length - this.#first;
  }

  /** Rejects with OVERLOADED when too much waits, and with STORE_CLOSED. */
  run<T>(bytes: number, request: () => Promise<T>, failures?: Failures): Promise<T> {
    if (this.#closed) return Promise.reject(storageErrors.STORE_CLOSED({ executed: "no" }));
    const { requestsInFlightMax, requestsWaitingMax, requestsWaitingBytesMax, retryPauseMaxMs } = this.#limits;
    if (this.inFlight < requestsInFlightMax) return this.#start(request, failures);
    if (this.waiting >= requestsWaitingMax || this.waitingBytes + bytes > requestsWaitingBytesMax) {
      this.refused += 1;
      const message = "More waits for the store's ring than memory is set aside for.";
      return Promise.reject(runtimeErrors.OVERLOADED({ message, retryAfterMs: retryPauseMaxMs }));
    }
    this.waitingBytes += bytes;
    return new Promise((resolve, reject) => {
      const start = () => void this.#start(request, failures).then(resolve, reject);
      this.#waiting.push({ bytes, start, refuse: reject });
    });
  }

  /** (A2) */
  urgent<T>(request: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(storageErrors.STORE_CLOSED({ executed: "no" }));
    return this.#start(request);
  }

  #start<T>(request: () => Promise<T>, failures?: Failures): Promise<T> {
    this.inFlight += 1;
    const answer = request();
    const failed = () => {
      if (failures !== undefined) failures.failed += 1;
      this.#ended();
    };
    void answer.then(this.#ended, failed); // beside whoever waits for it, not before: one promise less for each request
    return answer;
  }

  readonly #ended = (): void => {
    this.inFlight -= 1;
    if (this.inFlight >= this.#limits.requestsInFlightMax) return;
    const next = this.#waiting[this.#first];
    if (next === undefined) return;
    this.#waiting[this.#first] = undefined; // what has left is garbage at once, and dies young
    this.#first += 1;
    if (this.#first >= GONE_MAX && this.#first * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    this.waitingBytes -= next.bytes;
    next.start();
  };

  /** Refuses what waits; what is on its way ends by itself. */
  close(): void {
    this.#closed = true;
    const waiting = this.#waiting.slice(this.#first);
    this.#waiting = [];
    this.#first = 0;
    this.waitingBytes = 0;
    for (const left of waiting) left?.refuse(storageErrors.STORE_CLOSED({ executed: "no" }));
  }
}
