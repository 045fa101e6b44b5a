// The head of a channel: what an activation starts from, as registers. All of them only rise, and can be made again from the log.

import type { Register, RegisterWrite } from "../../storage/index.ts";
import { decodeSnapshot } from "./snapshot.ts";
import { type ChannelState, emptyChannel } from "./state.ts";

const nothing = new Uint8Array(0);

/** It may be older than the log: each part is only ever too low. */
export interface Head {
  /** Up to its lastId, whose fan-out is confirmed. */
  readonly state: ChannelState;
  /** All have confirmed what they were told up to this id; at least the state's. */
  readonly fannedOut: number;
  /** The log is settled up to this id; at least the state's. */
  readonly settled: number;
}

/** A state up to the entry `id`, encoded. */
export interface Snapshot {
  readonly id: number;
  readonly value: Uint8Array;
}

export function headFrom(channelId: string, registers: readonly Register[]): Head {
  const find = (name: string) => registers.find((register) => register.name === name);
  const snapshot = find("snapshot");
  const state = snapshot === undefined ? emptyChannel(channelId) : decodeSnapshot(channelId, snapshot.value);
  const through = (name: string) => Math.max(find(name)?.timestamp ?? 0, state.lastId);
  return { state, fannedOut: through("fanned_out"), settled: through("settled") };
}

export function snapshotWrites(channelId: string, { id, value }: Snapshot, fannedOut: number): RegisterWrite[] {
  return [registerOf(channelId, "snapshot", id, value), registerOf(channelId, "fanned_out", fannedOut)];
}

/** That everything up to this id is settled, where no snapshot says so. */
export function settledWrite(channelId: string, id: number): RegisterWrite {
  return registerOf(channelId, "settled", id);
}

function registerOf(owner: string, name: string, timestamp: number, value: Uint8Array = nothing): RegisterWrite {
  return { family: "head", owner, name, timestamp, value };
}
