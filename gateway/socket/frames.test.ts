import { expect, it } from "vitest";
import { ClientFrame } from "../../proto/index.ts";
import { readFrame } from "./frames.ts";

const MAX = 100;
const UNKNOWN = [0xf8, 0x7d, 7]; // field 2015, an integer
const arrayBuffer = (bytes: readonly number[]) => Uint8Array.from(bytes).buffer;
const encoded = (frame: ClientFrame) => Buffer.from(ClientFrame.encode(frame).finish()).toString("hex");
const repeated = (count: number) => Array.from({ length: count }, () => UNKNOWN).flat();

it("a frame outlives the memory that it came in", () => {
  const content = { ciphertext: { data: Uint8Array.of(1, 2, 3) } };
  const sent = ClientFrame.encode({ request: 5, send: { channelId: "g1", producer: 1, number: 1, content } }).finish();
  const message = arrayBuffer([...sent, ...UNKNOWN]);
  const frame = readFrame(message, MAX);
  new Uint8Array(message).fill(0);
  expect(encoded(frame)).toBe(Buffer.from([...sent, ...UNKNOWN]).toString("hex"));
});

it("a frame has so many unknown fields, and no more", () => {
  expect(encoded(readFrame(arrayBuffer(repeated(MAX)), MAX))).toBe(Buffer.from(repeated(MAX)).toString("hex"));
  expect(() => readFrame(arrayBuffer(repeated(MAX + 1)), MAX)).toThrow("too many unknown fields");
});

it("unknown fields are counted over all messages of the frame", () => {
  const sync = repeated(MAX / 2);
  const body = [0x2a, 0x80 | (sync.length & 127), sync.length >> 7, ...sync];
  expect(readFrame(arrayBuffer([...body, ...repeated(MAX / 2)]), MAX).sync).toBeDefined();
  expect(() => readFrame(arrayBuffer([...body, ...repeated(MAX / 2 + 1)]), MAX)).toThrow("too many unknown fields");
});

it("half a megabyte of unknown fields is refused before it has become objects", () => {
  const message = arrayBuffer(repeated(170_000));
  const takenBytes = Array.from({ length: 3 }, () => {
    const before = process.memoryUsage().heapUsed;
    expect(() => readFrame(message, MAX)).toThrow("too many unknown fields");
    return process.memoryUsage().heapUsed - before;
  });
  expect(Math.min(...takenBytes)).toBeLessThan(1_000_000);
});
