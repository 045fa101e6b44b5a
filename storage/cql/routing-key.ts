// The bytes from which a ring tells where a partition lies: of a key of several columns each with its length before it and a
// zero behind it. Format: Apache Cassandra, composite types (CompositeType.java).

import type { Value } from "./client.ts";

/** Of an int column, a text column, or what is bytes already. */
function bytesOf(value: Value): Buffer {
  if (typeof value === "string") return Buffer.from(value);
  if (typeof value !== "number") return value;
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** @param partition the values of its key, in the order of the table. */
export function routingKeyOf(partition: readonly Value[]): Buffer {
  const parts = partition.map(bytesOf);
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  let length = 0;
  for (const part of parts) length += 2 + part.length + 1;
  const key = Buffer.allocUnsafe(length);
  let at = 0;
  for (const part of parts) {
    key.writeUInt16BE(part.length, at);
    part.copy(key, at + 2);
    key[at + 2 + part.length] = 0;
    at += 2 + part.length + 1;
  }
  return key;
}
