// 200 bytes of text that say when they should have been sent.

import { performance } from "node:perf_hooks";

const TEXT_BYTES = 200;
const MARK = "@";
const DIGITS = 12;
const filler = "마당에 모여 이야기하는 사람들. ".repeat(8);
const tail = Buffer.from(filler).subarray(0, 180).toString().replaceAll("\uFFFD", "");
const padding = ".".repeat(TEXT_BYTES - DIGITS - 2 * MARK.length - Buffer.byteLength(tail));
const MARK_CODE = MARK.charCodeAt(0);

export function stampedText(intendedMs: number): string {
  return `${MARK}${String(Math.round(intendedMs * 1_000)).padStart(DIGITS, "0")}${MARK}${tail}${padding}`;
}

/** Milliseconds since the text of the frame should have been sent. */
export function ageMs(frame: Buffer): number {
  for (let at = frame.indexOf(MARK_CODE); at >= 0; at = frame.indexOf(MARK_CODE, at + 1)) {
    const digits = frame.toString("latin1", at + 1, at + 1 + DIGITS);
    // The mark's code may be a byte of a number, too.
    if (frame[at + DIGITS + 1] === MARK_CODE && /^\d+$/.test(digits)) return performance.now() - Number(digits) / 1_000;
  }
  throw new Error("the frame has no stamp");
}
