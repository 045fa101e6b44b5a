import { randomProducer, systemRandom } from "../ports.ts";

/** Names a new outbox. A service makes one, keeps it beside the last number of each channel, and uses it for all of its lives. */
export function newProducer(): number {
  return randomProducer(systemRandom);
}
