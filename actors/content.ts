// What a client may say, and how two contents are told apart.

import { Content, contentFault, hasUnknownFields } from "../proto/index.ts";
import { chatErrors } from "./errors.ts";
import type { ChatSettings } from "./settings.ts";

/** Throws the refusal, or returns. */
export function checkContent(content: Content | null | undefined, settings: ChatSettings): asserts content is Content {
  const fault = contentFault(content ?? {}, settings);
  if (fault !== undefined) throw chatErrors[fault]();
  if (content?.ciphertext) checkBytes(content.ciphertext.data.length, settings);
  if (content?.attachments) {
    const { attachmentsMax } = settings;
    if (content.attachments.items.length > attachmentsMax) {
      throw chatErrors.TEXT_TOO_LONG({ message: `A message has at most ${attachmentsMax} files.` });
    }
  }
  // Texts have their own measure, and most of them nothing beside it.
  if (content && (content.attachments || hasUnknownFields(content))) {
    checkBytes(Content.encode(content).finish().length, settings);
  }
  if (content?.reaction) checkEmoji(content.reaction.emoji, settings);
  const about = content?.edit ?? content?.deletion ?? content?.reaction;
  if (about?.messageId === 0) throw chatErrors.NOT_ALLOWED({ message: "There is no such message." });
}

function checkBytes(bytes: number, { contentBytesMax }: ChatSettings): void {
  if (bytes > contentBytesMax) throw chatErrors.TEXT_TOO_LONG();
}

function checkEmoji(emoji: string, { reactionCharactersMax }: ChatSettings): void {
  // A code point is one or two code units, so what is far too long need not be counted.
  if (emoji.length <= reactionCharactersMax * 2 && [...emoji].length <= reactionCharactersMax) return;
  throw chatErrors.TEXT_TOO_LONG({ message: `A reaction has at most ${reactionCharactersMax} characters.` });
}

/** 32 bits by which a content that is sent again under its number is known from another one. */
export function contentDigest(content: Content): number {
  let hash = 0x811c9dc5;
  if (content.text && content.text.replyTo === 0 && !hasUnknownFields(content)) {
    const { text } = content.text;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  } else for (const byte of Content.encode(content).finish()) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** Whether an entry of this content makes its channel unread. */
export function countsAsUnread(content: Content | null | undefined): boolean {
  return Boolean(content && (content.text || content.attachments || content.ciphertext || content.system));
}

/** The ordinal of an entry of this content that follows one of ordinal `before`: it counts what makes a channel unread. */
export function nextOrdinalOf(before: number, content: Content): number {
  return countsAsUnread(content) ? before + 1 : before;
}

/** The entry that this content is about, or 0. */
export function targetOf(content: Content): number {
  return content.edit?.messageId ?? content.deletion?.messageId ?? content.reaction?.messageId ?? 0;
}
