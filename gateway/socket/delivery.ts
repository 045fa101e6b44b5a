// The frame of a delivery, put together for one session: a small header of its own before a body that is the same for all.
//
//   ServerFrame { delivery = 4 { prev = 1, version = 2, <body: channel_id = 3, entries = 4, or what was read> } }

import type { PushNotice } from "../../proto/index.ts";

/** Tag and length, prev and version, at their longest. */
const HEADER_BYTES_MAX = 1 + 5 + 9 + 9;

let scratch = new Uint8Array(65_536);

/** Valid until the next call: send it at once. */
export function deliveryFrame({ prev, version, body }: PushNotice): Uint8Array {
  if (scratch.length < HEADER_BYTES_MAX + body.length) scratch = new Uint8Array(HEADER_BYTES_MAX + body.length);
  const inner = 2 + varintBytes(prev) + varintBytes(version) + body.length;
  let at = 0;
  scratch[at++] = (4 << 3) | 2;
  at = writeVarint(at, inner);
  scratch[at++] = 1 << 3;
  at = writeVarint(at, prev);
  scratch[at++] = 2 << 3;
  at = writeVarint(at, version);
  scratch.set(body, at);
  return scratch.subarray(0, at + body.length);
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

function writeVarint(from: number, value: number): number {
  let at = from;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) scratch[at++] = (rest % 128) | 128;
  scratch[at++] = rest;
  return at;
}
