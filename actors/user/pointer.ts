// One channel of a user's inbox: how far the channel goes for this user, and how far the user has got.

import { kept } from "../../proto/index.ts";
import type { Register, RegisterWrite } from "../../storage/index.ts";

export interface Pointer {
  readonly channelId: string;
  lastId: number;
  ordinal: number;
  /** Rises with every change; 0 before the first. */
  version: number;
  readId: number;
  readOrdinal: number;
  deliveredId: number;
  visibleFrom: number;
  left: boolean;
  /** This activation has given `lastId` its version (FENCE 10: only such a pointer may be confirmed). */
  ours: boolean;
  /** What has changed since it was last written. */
  dirty: number;
  /** A write of it is under way, or not confirmed yet: what the store has may be older. */
  writing: boolean;
  /** Newest message of somebody else that counts as unread and that no push job was made for; 0: none. */
  owedId: number;
  owedAuthor: number;
  /** Since when something is owed, or since a part of it was last acknowledged or read; by the monotonic clock. */
  owedSinceMs: number;
  /** Newest message that a push job was made for, until it is read. */
  pushedId: number;
  /** Its devices are attached and have not acknowledged yet: somebody looks again soon. */
  watched: boolean;
  /** What each device has acknowledged; made with the first acknowledgement. */
  devices: Map<number, number> | undefined;
}

/**
 * Bits of `dirty`. TELL: a watermark moved that the other members do not see from the channel itself, so it waits less. PUSH: a
 * push job waits for the write.
 */
export const Dirty = { POINTER: 1, READ: 2, DELIVERED: 4, TELL: 8, PUSH: 16 } as const;

export function newPointer(channelId: string): Pointer {
  return {
    channelId,
    lastId: 0,
    ordinal: 0,
    version: 0,
    readId: 0,
    readOrdinal: 0,
    deliveredId: 0,
    visibleFrom: 1,
    left: false,
    ours: false,
    dirty: 0,
    writing: false,
    owedId: 0,
    owedAuthor: 0,
    owedSinceMs: 0,
    pushedId: 0,
    watched: false,
    devices: undefined,
  };
}

/** The inbox from its registers: `<channel>`, `<channel>/read` and `<channel>/got/<device>`. */
export function readPointers(registers: readonly Register[]): Map<string, Pointer> {
  const pointers = new Map<string, Pointer>();
  for (const { name, timestamp, value } of registers) {
    const [channelId = "", what, device] = name.split("/");
    let pointer = pointers.get(channelId);
    if (pointer === undefined) {
      pointer = newPointer(channelId);
      pointers.set(channelId, pointer);
    }
    if (what === undefined) {
      const { lastId, ordinal, left, visibleFrom, pushedId } = kept.Pointer.decode(value);
      Object.assign(pointer, { lastId, ordinal, left, visibleFrom, pushedId, version: timestamp });
    } else if (what === "read") {
      pointer.readId = timestamp;
      pointer.readOrdinal = kept.ReadMark.decode(value).ordinal;
    } else if (what === "got") {
      pointer.devices ??= new Map();
      pointer.devices.set(Number(device), timestamp);
      pointer.deliveredId = Math.max(pointer.deliveredId, timestamp);
    }
  }
  for (const pointer of pointers.values()) if (pointer.pushedId <= pointer.readId) pointer.pushedId = 0;
  return pointers;
}

const nothing = new Uint8Array(0);

/** The registers that have to be written for what is dirty. */
export function pointerWrites(owner: string, pointer: Pointer): RegisterWrite[] {
  const { channelId, dirty } = pointer;
  const writes: RegisterWrite[] = [];
  const common = { family: "inbox", owner } as const;
  // What was read has a version of its own, and that stands in the pointer.
  if (dirty & (Dirty.POINTER | Dirty.READ)) {
    const value = kept.Pointer.encode(pointer).finish();
    writes.push({ ...common, name: channelId, timestamp: pointer.version, value });
  }
  if (dirty & Dirty.READ) {
    const value = kept.ReadMark.encode({ ordinal: pointer.readOrdinal }).finish();
    writes.push({ ...common, name: `${channelId}/read`, timestamp: pointer.readId, value });
  }
  if (dirty & Dirty.DELIVERED) {
    for (const [device, id] of pointer.devices ?? []) {
      writes.push({ ...common, name: `${channelId}/got/${device}`, timestamp: id, value: nothing });
    }
  }
  return writes;
}
