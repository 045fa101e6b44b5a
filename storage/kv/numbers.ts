// Numbers and names as bytes that are kept for long: each in memory of its own, for a slice of a pool would hold the whole pool.
// The order of a number's bytes is the order of the numbers.

/** Eight bytes, big-endian; for integers in [0, 2^53). */
export function numberBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  putNumber(bytes, value);
  return bytes;
}

/** Into the first eight bytes. */
export function putNumber(bytes: Uint8Array, value: number): void {
  const high = Math.floor(value / 4_294_967_296);
  const low = value - high * 4_294_967_296;
  for (let at = 0; at < 4; at++) {
    bytes[at] = high >>> (24 - 8 * at);
    bytes[at + 4] = low >>> (24 - 8 * at);
  }
}

const encoder = new TextEncoder();

export function nameBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(Buffer.byteLength(name));
  encoder.encodeInto(name, bytes);
  return bytes;
}

export function numberFrom(bytes: Uint8Array, at = 0): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(at) * 4_294_967_296 + view.getUint32(at + 4);
}
