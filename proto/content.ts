// What the contract says of a content beyond its types. Who sends looks before anything is kept, and who takes looks again,
// by these same rules: so a device never keeps what the server will not take.

import type { Attachments, Content } from "./gen/client.ts";

/** Names of ErrorCode. */
export type ContentFault = "BAD_FRAME" | "CONTENT_EMPTY" | "TEXT_TOO_LONG" | "TEXT_MALFORMED" | "CONTENT_NOT_ACCEPTED";

export interface ContentLimits {
  /** Unicode code points of one text; Infinity where nobody has told it. */
  readonly textCharactersMax: number;
}

/** Why a client may not send this content; undefined if it may, as far as the content alone can tell. */
export function contentFault(content: Content, limits: ContentLimits): ContentFault | undefined {
  const { text, attachments, edit, deletion, reaction, membership, system, ciphertext, block } = content;
  if (membership || system || block) return "CONTENT_NOT_ACCEPTED";
  if (!text && !attachments && !edit && !deletion && !reaction && !ciphertext) return "CONTENT_EMPTY";
  if (ciphertext?.data.length === 0) return "CONTENT_EMPTY";
  // One of them in what came over the wire; in what an application has put together there may be several.
  for (const part of [text?.text, edit?.text, reaction?.emoji]) {
    const fault = part === undefined ? undefined : textFault(part, limits);
    if (fault !== undefined) return fault;
  }
  const integers = [text?.replyTo, edit?.messageId, deletion?.messageId, reaction?.messageId];
  if (!integers.every((integer) => integer === undefined || isExact(integer))) return "BAD_FRAME";
  return attachments ? attachmentsFault(attachments, limits) : undefined;
}

/** What was larger on the wire than 2^53 - 1 was rounded when it was read: nobody knows any more what was meant. */
function isExact(integer: number): boolean {
  return Number.isSafeInteger(integer) && integer >= 0;
}

/** Whether a newer version wrote it, with fields that are not known here. They are kept with it. */
export function hasUnknownFields(content: Content): boolean {
  const kept = (message: object | null | undefined) => message != null && Object.hasOwn(message, "$unknowns");
  return kept(content) || (content.kind !== undefined && kept(content[content.kind]));
}

function textFault(text: string, { textCharactersMax }: ContentLimits): ContentFault | undefined {
  if (text === "") return "CONTENT_EMPTY";
  // A code point is one or two code units, so most texts need not be counted.
  if (text.length > textCharactersMax && codePoints(text) > textCharactersMax) return "TEXT_TOO_LONG";
  return text.isWellFormed() ? undefined : "TEXT_MALFORMED";
}

function attachmentsFault({ items, caption }: Attachments, limits: ContentLimits): ContentFault | undefined {
  if (items.length === 0) return "CONTENT_EMPTY";
  for (const { url, mediaType, name, bytes } of items) {
    if (!isExact(bytes)) return "BAD_FRAME";
    if (![url, mediaType, name].every((part) => part.isWellFormed())) return "TEXT_MALFORMED";
  }
  return caption === "" ? undefined : textFault(caption, limits);
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
