import { describe, expect, it } from "vitest";
import { Content, protobuf } from "../proto/index.ts";
import { checkContent } from "./content.ts";
import { chatDefaults } from "./settings.ts";

const LARGEST = Number.MAX_SAFE_INTEGER;
const file = { url: "https://files.example/1", mediaType: "image/png", name: "one", bytes: 1 };
const files = (count: number) => ({ attachments: { items: Array.from({ length: count }, () => file), caption: "" } });
const refusalOf = (content: Content | null) => {
  try {
    checkContent(content, chatDefaults);
    return undefined;
  } catch (error) {
    return error as { code: string; retryable: boolean; executed: string };
  }
};

const withInteger: Readonly<Record<string, (value: number) => Content>> = {
  "Text.reply_to": (replyTo) => ({ text: { text: "x", replyTo } }),
  "Item.bytes": (bytes) => ({ attachments: { items: [file, { ...file, bytes }], caption: "" } }),
  "Edit.message_id": (messageId) => ({ edit: { messageId, text: "x" } }),
  "Deletion.message_id": (messageId) => ({ deletion: { messageId } }),
  "Reaction.message_id": (messageId) => ({ reaction: { messageId, emoji: "x", removed: false } }),
};

describe.each(Object.entries(withInteger))("%s", (_, content) => {
  it.each([2 ** 53, 2 ** 64, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])("is not %d", (value) => {
    expect(refusalOf(content(value))).toMatchObject({ code: "BAD_FRAME", retryable: false, executed: "no" });
  });

  it("is up to 2^53 - 1, and exact", () => {
    expect(refusalOf(content(1))).toBeUndefined();
    expect(refusalOf(content(LARGEST))).toBeUndefined();
  });

  it("above 2^53 - 1 is refused as it comes over the wire, not rounded", () => {
    const bytes = Buffer.from(Content.encode(content(LARGEST)).finish());
    const largest = Buffer.from(protobuf.Writer.create().uint64(LARGEST).finish());
    const at = bytes.lastIndexOf(largest);
    expect(at).toBeGreaterThan(0);
    bytes.set([0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], at); // 2^53 + 1
    expect(refusalOf(Content.decode(bytes))?.code).toBe("BAD_FRAME");
  });
});

it.each(["edit", "deletion", "reaction"] as const)("%s is of a message: 0 is none", (kind) => {
  const messageId = 0;
  const content = {
    edit: { messageId, text: "x" },
    deletion: { messageId },
    reaction: { messageId, emoji: "x", removed: false },
  };
  expect(refusalOf({ [kind]: content[kind] })?.code).toBe("NOT_ALLOWED");
});

it("a message has so many files, and no more", () => {
  const { attachmentsMax } = chatDefaults;
  expect(refusalOf(files(attachmentsMax))).toBeUndefined();
  expect(refusalOf(files(attachmentsMax + 1))).toMatchObject({
    code: "TEXT_TOO_LONG",
    message: expect.stringContaining("files"),
  });
});

it("a reaction is short, counted in code points", () => {
  const { reactionCharactersMax } = chatDefaults;
  const reaction = (emoji: string) => ({ reaction: { messageId: 1, emoji, removed: false } });
  expect(refusalOf(reaction("👩‍👩‍👧‍👦"))).toBeUndefined();
  expect(refusalOf(reaction("😀".repeat(reactionCharactersMax)))).toBeUndefined();
  for (const emoji of ["😀".repeat(reactionCharactersMax + 1), "x".repeat(reactionCharactersMax + 1)]) {
    expect(refusalOf(reaction(emoji))).toMatchObject({ code: "TEXT_TOO_LONG", executed: "no" });
  }
});

it("files and ciphertexts have so many bytes, and no more", () => {
  const { contentBytesMax } = chatDefaults;
  const large = { ...file, url: "x".repeat(contentBytesMax) };
  expect(refusalOf({ attachments: { items: [large], caption: "" } })?.code).toBe("TEXT_TOO_LONG");
  expect(refusalOf({ ciphertext: { data: new Uint8Array(contentBytesMax) } })).toBeUndefined();
  expect(refusalOf({ ciphertext: { data: new Uint8Array(contentBytesMax + 1) } })?.code).toBe("TEXT_TOO_LONG");
});

it.each<[string, Content | null]>([
  ["CONTENT_EMPTY", null],
  ["CONTENT_EMPTY", {}],
  ["TEXT_MALFORMED", { attachments: { items: [{ ...file, mediaType: "\ud83d" }], caption: "" } }],
  ["CONTENT_NOT_ACCEPTED", { system: { text: "x" } }],
])("%s: what proto/content.ts says is said by its code", (code, content) => {
  expect(refusalOf(content)?.code).toBe(code);
});
