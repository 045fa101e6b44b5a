import { describe, expect, it } from "vitest";
import { type FramedWrite, FrameWriter, HEAD_BYTES, readFrames } from "./frames.ts";

const write = (id: number, text: string | undefined): FramedWrite => ({
  table: "inbox",
  partition: "사용자-42",
  cluster: Buffer.from([0, id]),
  value: text === undefined ? undefined : Buffer.from(text),
});

function read(bytes: Buffer): { writes: FramedWrite[]; whole: number } {
  const writes: FramedWrite[] = [];
  return { writes, whole: readFrames(bytes, (found) => writes.push(found)) };
}

const plain = (writes: readonly FramedWrite[]) =>
  writes.map(
    ({ table, partition, cluster, value }) =>
      `${table}/${partition}/${[...cluster]}=${value === undefined ? "deleted" : Buffer.from(value)}`,
  );

describe("frames of the journal", () => {
  it("come back as they were written, deletions and empty values too", () => {
    const writer = new FrameWriter();
    const one = [write(1, "안녕"), write(2, ""), write(3, undefined)];
    const two = [write(4, "x".repeat(3_000_000))]; // more than the writer's memory at first
    const file = Buffer.concat([Buffer.from(writer.write(one)), Buffer.from(writer.write(two))]);
    const { writes, whole } = read(file);
    expect(plain(writes)).toEqual(plain([...one, ...two]));
    expect(whole).toBe(file.byteLength);
  });

  it("cut off at any byte end with the last whole frame", () => {
    const writer = new FrameWriter();
    const first = Buffer.from(writer.write([write(1, "kept")]));
    const second = Buffer.from(writer.write([write(2, "cut"), write(3, undefined)]));
    for (let length = 0; length < second.byteLength; length++) {
      const { writes, whole } = read(Buffer.concat([first, second.subarray(0, length)]));
      expect([plain(writes), whole]).toEqual([plain([write(1, "kept")]), first.byteLength]);
    }
  });

  it("with any flipped bit are not read", () => {
    const frame = Buffer.from(new FrameWriter().write([write(1, "some text"), write(2, "and more")]));
    for (let bit = 0; bit < frame.byteLength * 8; bit++) {
      const damaged = Buffer.from(frame);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(read(damaged).writes, `bit ${bit}`).toEqual([]);
    }
  });

  it("are not seen in zeros, which a file system may leave behind a cut", () => {
    const frame = Buffer.from(new FrameWriter().write([write(1, "kept")]));
    expect(read(Buffer.concat([frame, Buffer.alloc(4_096)])).whole).toBe(frame.byteLength);
    expect(frame.byteLength % 4).toBe(0);
    expect(frame.byteLength).toBeGreaterThan(HEAD_BYTES);
  });
});
