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
  let at = frame.indexOf(MARK_CODE);
  while (at >= 0 && frame[at + DIGITS + 1] !== MARK_CODE) at = frame.indexOf(MARK_CODE, at + 1);
  if (at < 0) throw new Error("the frame has no stamp");
  return performance.now() - Number(frame.toString("latin1", at + 1, at + 1 + DIGITS)) / 1_000;
}
