// The records of the store, as bytes and back.

import { Content } from "../proto/client.ts";
import { clientError } from "./errors.ts";
import type { OutboxItem } from "./outbox.ts";

export interface LogInRecord {
  readonly userId: number;
  readonly deviceId: number;
  readonly name: string;
  readonly accessToken: string;
  /** By the wall clock. */
  readonly accessExpiresMs: number;
  readonly refreshToken: string;
}

export interface DeviceRecord {
  /** Whose data this is, also after a log-out. */
  readonly userId: number;
  readonly deviceId: number;
  /** The name of the outbox. */
  readonly producer: number;
}

export interface ChannelRecord {
  readonly producer: number;
  readonly taken: number;
  readonly from: number;
  readonly to: number;
  readonly lastId: number;
  /** The server may have lost what is held; its log has not yet said. */
  readonly doubted?: boolean;
  readonly ordinal: number;
  readonly readId: number;
  readonly readOrdinal: number;
  /** Highest read mark that the server has confirmed. */
  readonly readTold: number;
  /** Highest id whose delivery the server has confirmed to know. */
  readonly acked: number;
  readonly title: string;
  readonly left: boolean;
}

export const recordKeys = {
  login: "login",
  device: "device",
  cursor: "cursor",
  channel: (channelId: string) => `channel/${channelId}`,
  item: (channelId: string, key: number) => `out/${channelId}/${key}`,
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** What this SDK wrote under a key comes back as it was; anything else is STORE_DAMAGED. */
export function decodeJson<T>(value: Uint8Array): T {
  try {
    return JSON.parse(decoder.decode(value)) as T;
  } catch (cause) {
    throw clientError("STORE_DAMAGED", { cause });
  }
}

const FLOOR_BYTES = 8;

/** Its number is not in it: it follows from the place in the queue and from `taken` of the channel's record. */
export function encodeItem({ floorId, content }: OutboxItem): Uint8Array {
  const body = Content.encode(content).finish();
  const bytes = new Uint8Array(FLOOR_BYTES + body.length);
  new DataView(bytes.buffer).setFloat64(0, floorId);
  bytes.set(body, FLOOR_BYTES);
  return bytes;
}

export function decodeItem(key: number, bytes: Uint8Array): OutboxItem {
  try {
    const floorId = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0);
    const content = Content.decode(bytes.slice(FLOOR_BYTES));
    return { key, content, floorId, durable: true, unknown: true, attempted: true };
  } catch (cause) {
    throw clientError("STORE_DAMAGED", { cause });
  }
}
