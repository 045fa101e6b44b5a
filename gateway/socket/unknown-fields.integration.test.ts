// What a newer client has added to a content goes through a node that does not know it, and comes out as it went in.

import { afterEach, describe, expect, it } from "vitest";
import { Content, type Entry, ErrorCode, HistoryDirection, Text } from "../../proto/index.ts";
import { createRig, type Rig } from "./server.test-rig.ts";

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

const NEWER = [0xfa, 0x7d, 4, 0xde, 0xad, 0xbe, 0xef]; // field 2015, four bytes
const field = (id: number, bytes: readonly number[]) => [(id << 3) | 2, bytes.length, ...bytes];
const hex = (content: Content | null | undefined) =>
  Buffer.from(content ? Content.encode(content).finish() : []).toString("hex");

/** A text with a field that is not known, in a content with one. */
function newerText(text: string): Content {
  const body = [...Text.encode({ text, replyTo: 0 }).finish(), ...NEWER];
  return Content.decode(Uint8Array.from([...field(1, body), ...NEWER]));
}
function newerFile(): Content {
  const item = [...field(1, [0x61]), ...NEWER];
  return Content.decode(Uint8Array.from(field(2, field(1, item))));
}
const newerCiphertext = () => Content.decode(Uint8Array.from(field(8, [...field(1, [1, 2, 3]), ...NEWER])));

const contents: [string, () => Content][] = [
  ["a text", () => newerText("hello from next year")],
  ["an attachment", newerFile],
  ["a ciphertext", newerCiphertext],
];

describe.each(contents)("a field of %s that this version does not know", (_, make) => {
  it("comes back in the delivery, the history and the sync", async () => {
    rig = await createRig();
    const [ann, bob] = await Promise.all([rig.join(1), rig.join(2)]);
    const wanted = hex(make());
    expect(wanted).toContain(Buffer.from(NEWER).toString("hex"));
    // In one go, so that the memory that the first frame came in is written over while its content waits to be kept.
    const asked = [
      make(),
      ...Array.from({ length: 20 }, (_, at) => ({ text: { text: `${at}`.repeat(50), replyTo: 0 } })),
    ];
    const sent = await Promise.all(
      asked.map((content, at) => ann.ask({ send: { channelId: "d1.2", producer: 7, number: at + 1, content } })),
    );
    expect(sent[0]?.sent).toMatchObject({ messageId: 1 });
    const isIt = ({ messageId }: Entry) => messageId === 1;
    const { delivery } = await bob.next((frame) => frame.delivery?.entries.some(isIt) ?? false);
    expect(hex(delivery?.entries.find(isIt)?.content)).toBe(wanted);
    const history = { channelId: "d1.2", anchor: 0, direction: HistoryDirection.AFTER, limit: 1 };
    expect(hex((await bob.ask({ history })).page?.entries.find(isIt)?.content)).toBe(wanted);
  });

  it("comes with the newest messages of a channel, to a device that was away", async () => {
    rig = await createRig();
    const ann = await rig.join(1);
    await ann.ask({ send: { channelId: "d1.2", producer: 7, number: 1, content: make() } });
    const bob = await rig.join(2);
    await bob.next((frame) => frame.pointer != null || frame.delivery != null);
    expect(hex(bob.entries("d1.2")[0]?.content)).toBe(hex(make()));
  });

  it("tells contents of one number apart", async () => {
    rig = await createRig();
    const ann = await rig.join(1);
    const send = { channelId: "d1.2", producer: 7, number: 1 };
    await ann.ask({ send: { ...send, content: make() } });
    expect((await ann.ask({ send: { ...send, content: make() } })).sent).toMatchObject({ messageId: 1 });
    const known = JSON.parse(JSON.stringify({ ...make(), kind: undefined })) as Content;
    if (known.ciphertext) known.ciphertext.data = Uint8Array.of(1, 2, 3);
    expect(
      (await ann.ask({ send: { ...send, content: Content.decode(Content.encode(known).finish()) } })).error?.code,
    ).toBe(ErrorCode.NUMBER_REUSED);
  });
});

describe("unknown fields", () => {
  it("count towards the bytes that a content may have", async () => {
    rig = await createRig();
    const ann = await rig.join(1);
    const large = [0xfa, 0x7d, ...[0x80 | (455_000 & 127), 0x80 | ((455_000 >> 7) & 127), 455_000 >> 14]];
    const bytes = [...field(1, [...Text.encode({ text: "x", replyTo: 0 }).finish()]), ...large];
    const content = Content.decode(Uint8Array.from([...bytes, ...new Uint8Array(455_000)]));
    const answer = await ann.ask({ send: { channelId: "d1.2", producer: 7, number: 1, content } });
    expect(answer.error?.code).toBe(ErrorCode.TEXT_TOO_LONG);
  });

  it("that are too many are no frame", async () => {
    rig = await createRig({ unknownFieldsMax: 3 });
    const ann = await rig.join(1);
    ann.sendBytes(Uint8Array.from([NEWER, NEWER, NEWER].flat()));
    expect((await ann.next((frame) => frame.error != null)).error?.code).toBe(ErrorCode.BAD_FRAME);
    expect(ann.socket.readyState).toBe(1); // it has no body: refused, but a frame
    ann.sendBytes(Uint8Array.from([NEWER, NEWER, NEWER, NEWER].flat()));
    expect(await ann.closed).toBe(1008);
  });
});
