// Numbers as bytes whose order is the order of the numbers.

/** Eight bytes, big-endian; for integers in [0, 2^53). */
export function numberBytes(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(8);
  const high = Math.floor(value / 4_294_967_296);
  bytes.writeUInt32BE(high, 0);
  bytes.writeUInt32BE(value - high * 4_294_967_296, 4);
  return bytes;
}

export function numberFrom(bytes: Uint8Array, at = 0): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(at) * 4_294_967_296 + view.getUint32(at + 4);
}
