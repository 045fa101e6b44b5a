// From entries and lines to what stands on the screen, and from typed lines to commands. Pure.

import type { Content, Entry } from "../../client/index.ts";

/** Characters of one message that are shown at once: a screen and a half. `/show` shows the rest. */
export const SHOWN_CHARACTERS_MAX = 2_000;

export type Command =
  | { readonly kind: "nothing" }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "command"; readonly name: string; readonly words: readonly string[]; readonly rest: string };

/** A line that begins with "/" is a command; with "//", a text that begins with "/". */
export function parseLine(line: string): Command {
  if (line.trim() === "") return { kind: "nothing" };
  if (!line.startsWith("/") || line.startsWith("//")) return { kind: "text", text: line.replace(/^\/\//, "/") };
  const [name = "", ...words] = line.slice(1).trim().split(/\s+/);
  const rest = line.slice(1 + name.length).trim();
  return { kind: "command", name: name.toLowerCase(), words, rest };
}

/**
 * What others wrote must not steer the terminal: control characters are shown as pictures, and marks that turn the
 * direction of writing for what follows are taken out. Joiners stay, for they hold emoji together.
 */
export function harmless(text: string): string {
  let shown = "";
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (character === "\n" || character === "\t") shown += character;
    else if (code < 0x20) shown += String.fromCodePoint(0x2400 + code);
    else if (code === 0x7f) shown += "\u2421";
    else if (code >= 0x80 && code < 0xa0) shown += "\ufffd";
    else if ((code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)) continue;
    else shown += character;
  }
  return shown;
}

export interface Names {
  of(userId: number): string;
}

/** A message in the words of a log. */
function describeContent(content: Content | null | undefined, names: Names, whole = false): string {
  if (content?.text) {
    const answered = content.text.replyTo > 0 ? `(to ${content.text.replyTo}) ` : "";
    return answered + (whole ? harmless(content.text.text) : shorten(harmless(content.text.text)));
  }
  if (content?.edit) return `edits ${content.edit.messageId}: ${shorten(harmless(content.edit.text))}`;
  if (content?.deletion) return `deletes ${content.deletion.messageId}`;
  if (content?.reaction) {
    const { messageId, emoji, removed } = content.reaction;
    return `${removed ? "takes back" : "reacts with"} ${harmless(emoji)} ${removed ? "from" : "to"} ${messageId}`;
  }
  if (content?.attachments) {
    const files = content.attachments.items.map(({ name, url }) => harmless(name || url)).join(", ");
    return `sends ${files}${content.attachments.caption === "" ? "" : `: ${harmless(content.attachments.caption)}`}`;
  }
  if (content?.membership) return describeMembership(content.membership, names);
  if (content?.system) return harmless(content.system.text);
  if (content?.ciphertext) return `an encrypted message of ${content.ciphertext.data.length} bytes`;
  return "something that this program does not know";
}

const changes = ["creates the group", "adds", "removes", "leaves", "changes the role of", "names the group"];

function describeMembership(membership: NonNullable<Content["membership"]>, names: Names): string {
  const { change, members, title } = membership;
  const verb = changes[change] ?? "changes";
  if (change === 0) return `${verb} "${harmless(title)}" with ${members.length} members`;
  if (change === 5) return `${verb} "${harmless(title)}"`;
  if (change === 3) return verb;
  return `${verb} ${members.map(({ userId }) => names.of(userId)).join(", ")}`;
}

function shorten(text: string): string {
  if (text.length <= SHOWN_CHARACTERS_MAX) return text;
  const shown = text.slice(0, SHOWN_CHARACTERS_MAX).replace(/[\ud800-\udbff]$/, "");
  return `${shown}… (${[...text].length} characters: /show)`;
}

/** `12 14:05 alice: text`; further lines are indented below the text. */
export function formatEntry(entry: Entry, names: Names, whole = false): string {
  const head = `${String(entry.messageId).padStart(4)} ${clockTime(entry.timeMs)} `;
  const who = entry.author === 0 ? "" : names.of(entry.author);
  const said = entry.content?.text || entry.content?.ciphertext ? `${who}: ` : `* ${who} `;
  return head + said + describeContent(entry.content, names, whole).replaceAll("\n", `\n${" ".repeat(head.length)}`);
}

export function clockTime(timeMs: number): string {
  const time = new Date(timeMs);
  return `${String(time.getHours()).padStart(2, "0")}:${String(time.getMinutes()).padStart(2, "0")}`;
}

export interface ChannelRow {
  readonly title: string;
  readonly unread: number;
  readonly online: boolean;
  readonly left: boolean;
  readonly open: boolean;
}

/** ` 2 ● bob (3 new)` */
export function formatChannel(row: ChannelRow, number: number): string {
  const mark = row.open ? ">" : " ";
  const presence = row.online ? "●" : "·";
  const unread = row.unread > 0 ? ` (${row.unread} new)` : "";
  return `${mark}${String(number).padStart(2)} ${presence} ${row.title}${unread}${row.left ? " (left)" : ""}`;
}
