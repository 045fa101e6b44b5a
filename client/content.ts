// Contents: from what an application gives to what the wire carries, and whether two are the same.

import { Content } from "../proto/client.ts";

/** A text, or any content that clients may send. */
export type Message = string | Content;

export function toContent(message: Message, replyTo = 0): Content {
  return typeof message === "string" ? { text: { text: message, replyTo } } : message;
}

export function sameContent(one: Content | null | undefined, other: Content | null | undefined): boolean {
  if (!one || !other) return !one && !other;
  if (one.text && other.text) return one.text.text === other.text.text && one.text.replyTo === other.text.replyTo;
  const a = Content.encode(one).finish();
  const b = Content.encode(other).finish();
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
