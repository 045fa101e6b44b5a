// The bytes of control messages. Whatever is not one of this cluster is named and dropped, never half understood.

import { ControlMessage } from "../../proto/index.ts";

/** Raised when the meaning of a field changes; nodes read this and the one before, and write the older until all read it. */
const PROTOCOL = 1;
const OLDEST_PROTOCOL = 1;

export type ControlBody = Partial<Omit<ControlMessage, "protocol" | "clusterId" | "body">>;

export const dropReasons = ["tooLarge", "malformed", "protocol", "foreign", "stranger", "stale"] as const;
export type DropReason = (typeof dropReasons)[number];

export function encodeControl(clusterId: string, body: ControlBody): Uint8Array {
  return ControlMessage.encode({ protocol: PROTOCOL, clusterId, ...body }).finish();
}

/** `foreign` comes with the message, for a node that starts has to know of it. */
export type Decoded =
  | { readonly message: ControlMessage; readonly dropped?: undefined }
  | { readonly message?: ControlMessage; readonly dropped: DropReason };

export function decodeControl(clusterId: string, bytes: Uint8Array, bytesMax: number): Decoded {
  if (bytes.length > bytesMax) return { dropped: "tooLarge" };
  let message: ControlMessage;
  try {
    message = ControlMessage.decode(bytes);
  } catch {
    return { dropped: "malformed" };
  }
  if (message.protocol > PROTOCOL || message.protocol < OLDEST_PROTOCOL) return { dropped: "protocol" };
  if (message.clusterId !== clusterId) return { dropped: "foreign", message };
  if (message.body === undefined) return { dropped: "protocol" };
  return { message };
}
