// Control inside one process, with the faults of a network: delays, cuts between two nodes, a node that has lost its way to
// all others, and one that is gone.

import type { Clock } from "../clock.ts";
import type { Random } from "../random.ts";
import type { Control, ControlEvents } from "./port.ts";

export interface MemoryControlOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** One way, at least and at most. */
  readonly delayMs?: readonly [number, number];
}

export interface MemoryControl {
  /** `clock` is the node's, which a test may stop: what arrives then waits. */
  join(nodeId: string, clock?: Clock): Control;
  /** Nothing passes from one to the other, without a word to either. */
  cut(from: string, to: string): void;
  /** The node knows that it has lost its way. */
  disconnect(nodeId: string): void;
  /** Share of messages that get lost, 0 to 1. */
  lose(share: number): void;
  heal(): void;
  /** The node neither sends nor receives any more. */
  kill(nodeId: string): void;
}

interface Seat {
  readonly clock: Clock;
  events: ControlEvents | undefined;
}

export function createMemoryControl(options: MemoryControlOptions): MemoryControl {
  const { clock, random, delayMs = [0, 0] } = options;
  const seats = new Map<string, Seat>();
  const cuts = new Set<string>();
  const disconnected = new Set<string>();
  let lossShare = 0;

  const pass = (from: string, to: string, bytes: Uint8Array) => {
    const copy = bytes.slice();
    clock.after(delayMs[0] + random.next() * (delayMs[1] - delayMs[0]), () => {
      if (disconnected.has(from) || disconnected.has(to) || cuts.has(`${from}>${to}`)) return;
      if (lossShare > 0 && random.next() < lossShare) return;
      const seat = seats.get(to);
      seat?.clock.after(0, () => {
        if (seats.get(to) === seat) seat.events?.onMessage(from, copy);
      });
    });
  };
  const connect = (nodeId: string, connected: boolean) => {
    if (connected === !disconnected.has(nodeId)) return;
    if (connected) disconnected.delete(nodeId);
    else disconnected.add(nodeId);
    const seat = seats.get(nodeId);
    seat?.clock.after(0, () => seat.events?.onConnected(connected));
  };

  return {
    join(nodeId, own = clock) {
      const seat: Seat = { clock: own, events: undefined };
      const sends = () => seats.get(nodeId) === seat;
      return {
        get connected() {
          return sends() && !disconnected.has(nodeId);
        },
        open(events) {
          seat.events = events;
          seats.set(nodeId, seat);
        },
        send(to, bytes) {
          if (sends()) pass(nodeId, to, bytes);
        },
        broadcast(bytes) {
          if (!sends()) return;
          for (const to of seats.keys()) if (to !== nodeId) pass(nodeId, to, bytes);
        },
        async close() {
          if (sends()) seats.delete(nodeId);
        },
      };
    },
    cut: (from, to) => void cuts.add(`${from}>${to}`),
    disconnect: (nodeId) => connect(nodeId, false),
    lose(share) {
      lossShare = share;
    },
    heal() {
      cuts.clear();
      lossShare = 0;
      for (const nodeId of [...disconnected]) connect(nodeId, true);
    },
    kill: (nodeId) => void seats.delete(nodeId),
  };
}
