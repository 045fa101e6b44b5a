// Control messages on NATS, on a connection of their own: a flood of mail does not hold up a beat.

import type { Nats } from "../nats/connection.ts";
import { type Subjects, tokenOf } from "../nats/subjects.ts";
import type { Control, ControlEvents } from "./port.ts";

export interface NatsControlOptions {
  /** Made with `noEcho`: a node does not hear what it broadcasts. */
  readonly nats: Nats;
  readonly subjects: Subjects;
  readonly nodeId: string;
}

const ID_AT = 3;

export function createNatsControl({ nats, subjects, nodeId }: NatsControlOptions): Control {
  const own = subjects.control(nodeId);
  return {
    get connected() {
      return nats.connected;
    },
    open(events: ControlEvents) {
      const take = ({ reply, data }: { readonly reply?: string; readonly data: Uint8Array }) => {
        const from = reply === undefined ? "" : tokenOf(reply, ID_AT);
        if (from !== "") events.onMessage(from, data);
      };
      nats.subscribe(own, undefined, take);
      nats.subscribe(subjects.everybody, undefined, take);
      nats.onConnected((connected) => events.onConnected(connected));
    },
    send: (to, bytes) => void nats.publish(subjects.control(to), bytes, own),
    broadcast: (bytes) => void nats.publish(subjects.everybody, bytes, own),
    close: () => nats.close(),
  };
}
