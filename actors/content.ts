// What a client may say, and how two contents are told apart.

import { Content } from "../proto/index.ts";
import { chatErrors } from "./errors.ts";
import type { ChatSettings } from "./settings.ts";

/** Throws the refusal, or returns. */
export function checkContent(content: Content | null | undefined, settings: ChatSettings): asserts content is Content {
  if (content?.text) checkText(content.text.text, settings);
  else if (content?.edit) checkText(content.edit.text, settings);
  else if (content?.ciphertext) {
    if (content.ciphertext.data.length === 0) throw chatErrors.CONTENT_EMPTY();
    if (content.ciphertext.data.length > settings.contentBytesMax) throw chatErrors.TEXT_TOO_LONG();
  } else if (content?.attachments) {
    const { items, caption } = content.attachments;
    if (items.length === 0) throw chatErrors.CONTENT_EMPTY();
    if (caption !== "") checkText(caption, settings);
    for (const item of items)
      if (!item.url.isWellFormed() || !item.name.isWellFormed()) throw chatErrors.TEXT_MALFORMED();
    checkBytes(content, settings);
  } else if (content?.reaction) checkText(content.reaction.emoji, settings);
  else if (content?.deletion) return;
  else if (content?.membership || content?.system || content?.block) throw chatErrors.CONTENT_NOT_ACCEPTED();
  else throw chatErrors.CONTENT_EMPTY();
}

function checkText(text: string, { textCharactersMax }: ChatSettings): void {
  if (text === "") throw chatErrors.CONTENT_EMPTY();
  // A code point is one or two code units, so most texts need not be counted.
  if (text.length > textCharactersMax && codePoints(text) > textCharactersMax) throw chatErrors.TEXT_TOO_LONG();
  if (!text.isWellFormed()) throw chatErrors.TEXT_MALFORMED();
}

function checkBytes(content: Content, settings: ChatSettings): void {
  if (Content.encode(content).finish().length > settings.contentBytesMax) throw chatErrors.TEXT_TOO_LONG();
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** 32 bits by which a content that is sent again under its number is known from another one. */
export function contentDigest(content: Content): number {
  let hash = 0x811c9dc5;
  if (content.text && content.text.replyTo === 0) {
    const { text } = content.text;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  } else for (const byte of Content.encode(content).finish()) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** The ordinal of an entry of this content that follows one of ordinal `before`: it counts what makes a channel unread. */
export function nextOrdinalOf(before: number, content: Content): number {
  return content.text || content.attachments || content.ciphertext || content.system ? before + 1 : before;
}

/** The entry that this content is about, or 0. */
export function targetOf(content: Content): number {
  return content.edit?.messageId ?? content.deletion?.messageId ?? content.reaction?.messageId ?? 0;
}
