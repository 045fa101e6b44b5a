// A network inside one process. Bytes are really encoded and copied, so that nothing can pass that a wire would not carry.
// Faults for tests: a cut between two nodes, a delay, a node that is gone.

import type { Clock } from "../clock.ts";
import type { Transport, TransportEvents } from "./port.ts";

export interface MemoryNetwork {
  join(nodeId: string): Transport;
  /** Nothing passes from one to the other, without a word to the sender. */
  cut(from: string, to: string): void;
  heal(): void;
  /** What a service says to this node, as one that routes. */
  request(nodeId: string, service: string, bytes: Uint8Array): void;
  /** The node neither sends nor receives any more. */
  kill(nodeId: string): void;
}

export interface MemoryNetworkOptions {
  readonly clock: Clock;
  /** One way. */
  readonly delayMs?: number;
  readonly messageBytesMax?: number;
}

const MESSAGE_BYTES_MAX = 1_048_576;

export function createMemoryNetwork(options: MemoryNetworkOptions): MemoryNetwork {
  const { clock, delayMs = 0, messageBytesMax = MESSAGE_BYTES_MAX } = options;
  const nodes = new Map<string, TransportEvents>();
  const dead = new Set<string>();
  const cuts = new Set<string>();

  const pass = (task: () => void) => {
    if (delayMs > 0) clock.after(delayMs, task);
    else clock.soon(task);
  };

  return {
    join: (nodeId) => ({
      messageBytesMax,
      open: (events) => void nodes.set(nodeId, events),
      send(to, lane, bytes, notDelivered) {
        if (dead.has(nodeId)) return;
        const copy = bytes.slice();
        pass(() => {
          if (cuts.has(`${nodeId}>${to}`)) return;
          const receiver = nodes.get(to);
          if (receiver === undefined) notDelivered();
          else if (!dead.has(nodeId)) receiver.onBatch(nodeId, lane, copy);
        });
      },
      async close() {
        nodes.delete(nodeId);
      },
    }),
    cut: (from, to) => void cuts.add(`${from}>${to}`),
    heal: () => cuts.clear(),
    request: (nodeId, service, bytes) => pass(() => nodes.get(nodeId)?.onRequest(service, bytes)),
    kill(nodeId) {
      dead.add(nodeId);
      nodes.delete(nodeId);
    },
  };
}
