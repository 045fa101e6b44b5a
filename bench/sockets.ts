// WebSocket clients that cost as little as Node allows, so that the load is not what is measured: TCP by hand, a mask of
// zeros, and frames that are looked at where they lie.

import { connect, type Socket } from "node:net";

/** `bytes` is valid until the call returns. */
export type FrameListener = (bytes: Buffer) => void;

const read = Buffer.allocUnsafe(262_144);
const MASKED = 0x80;

export class RawSocket {
  onFrame: FrameListener = () => {};
  readonly #socket: Socket;
  #rest: Buffer | undefined;
  #upgraded = false;
  #open: () => void = () => {};
  readonly opened: Promise<void>;
  readonly closed: Promise<void>;
  bytesRead = 0;

  constructor(port: number, host = "127.0.0.1") {
    let fail: (error: Error) => void = () => {};
    this.opened = new Promise((resolve, reject) => {
      this.#open = resolve;
      fail = reject;
    });
    this.opened.catch(() => undefined);
    this.#socket = connect({
      port,
      host,
      noDelay: true,
      onread: {
        buffer: read,
        callback: (length, buffer) => {
          this.bytesRead += length;
          this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, length));
          return true;
        },
      },
    });
    this.closed = new Promise((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.once("error", (error) => fail(error));
    this.#socket.once("connect", () => {
      const lines = [`Host: ${host}`, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
      this.#socket.write(
        `GET / HTTP/1.1\r\n${lines.join("\r\n")}\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
      );
    });
  }

  send(payload: Uint8Array): void {
    const long = payload.length > 125;
    const frame = Buffer.allocUnsafe((long ? 8 : 6) + payload.length);
    frame[0] = 0x82;
    if (payload.length > 65_535) throw new Error("longer than this client writes");
    if (long) {
      frame[1] = MASKED | 126;
      frame.writeUInt16BE(payload.length, 2);
    } else frame[1] = MASKED | payload.length;
    frame.writeUInt32LE(0, long ? 4 : 2);
    frame.set(payload, long ? 8 : 6);
    this.#socket.write(frame);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    let bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    if (!this.#upgraded) {
      const end = bytes.indexOf("\r\n\r\n");
      if (end < 0) {
        this.#rest = Buffer.from(bytes);
        return;
      }
      if (!bytes.subarray(0, 12).toString().endsWith("101")) throw new Error(bytes.toString());
      this.#upgraded = true;
      this.#open();
      bytes = bytes.subarray(end + 4);
    }
    let at = 0;
    for (;;) {
      if (bytes.length - at < 2) break;
      let length = (bytes[at + 1] as number) & 0x7f;
      let body = at + 2;
      if (length === 126) {
        if (bytes.length - at < 4) break;
        length = bytes.readUInt16BE(at + 2);
        body = at + 4;
      } else if (length === 127) {
        if (bytes.length - at < 10) break;
        length = Number(bytes.readBigUInt64BE(at + 2));
        body = at + 10;
      }
      if (bytes.length < body + length) break;
      if (((bytes[at] as number) & 0x0f) === 2) this.onFrame(bytes.subarray(body, body + length));
      at = body + length;
    }
    this.#rest = at === bytes.length ? undefined : Buffer.from(bytes.subarray(at));
  }
}

/** Entries in a frame that starts as a Delivery does; 0 for any other frame. */
export function entriesIn(frame: Buffer): number {
  if (frame[0] !== 0x22) return 0;
  let at = skipVarint(frame, 1);
  let entries = 0;
  while (at < frame.length) {
    const tag = frame[at++];
    if (tag === 0x08 || tag === 0x10) {
      at = skipVarint(frame, at);
      continue;
    }
    let length = 0;
    let shift = 0;
    for (;;) {
      const byte = frame[at++] as number;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
      shift += 7;
    }
    at += length;
    if (tag === 0x22) entries += 1;
  }
  return entries;
}

function skipVarint(frame: Buffer, from: number): number {
  let at = from;
  while ((frame[at] as number) >= 0x80) at += 1;
  return at + 1;
}

/** Opens in waves, so that no backlog overflows. */
export async function openSockets(port: number, count: number, first = 0): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  while (sockets.length < count) {
    const wave = Array.from({ length: Math.min(200, count - sockets.length) }, (_, at) => {
      // Several addresses of this machine: one has only so many ports.
      const address = 1 + Math.floor((first + sockets.length + at) / 15_000);
      return new RawSocket(port, `127.0.0.${address}`);
    });
    await Promise.all(wave.map((socket) => socket.opened));
    sockets.push(...wave);
  }
  return sockets;
}
