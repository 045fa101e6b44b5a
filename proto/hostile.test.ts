// What a stranger may send. `decode` gives a message or one of its refusals, whatever the bytes are, and takes no memory
// for what was only announced. The gateway answers every refusal with BAD_FRAME.

import { fileURLToPath } from "node:url";
import reflection from "protobufjs";
import { describe, expect, it } from "vitest";
import type { ActorRefs } from "../gateway/refs.ts";
import { answer, checkId } from "../gateway/socket/requests.ts";
import { type Random, randomBelow, seededRandom } from "../runtime/random.ts";
import { ClientFrame } from "./gen/client.ts";
import protobuf from "./protobuf.js";

/** Every way in which a codec refuses. Anything else that it throws is a mistake of ours: a full stack, an undefined. */
const refusals = [
  /^index out of range/,
  /^invalid (varint|tag|length) encoding$/,
  /^invalid wire type [467] at offset \d+$/, // 4 ends a group that never began
  /^illegal tag: field number 0$/,
  /^invalid end group tag$/,
  /^max depth exceeded$/,
  /^The encoded data was not valid for encoding utf-8$/,
];

type Outcome = { readonly message: ClientFrame } | { readonly refused: string };

function decode(bytes: Uint8Array): Outcome {
  try {
    return { message: ClientFrame.decode(bytes) };
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw new Error("a codec throws errors only", { cause: thrown });
    if (!refusals.some((refusal) => refusal.test(thrown.message))) throw thrown;
    return { refused: thrown.message };
  }
}

const isRefused = (bytes: readonly number[] | Uint8Array) => "refused" in decode(Uint8Array.from(bytes));

/** A message that was taken says the same when it is written again. */
function expectMessageOrRefusal(bytes: Uint8Array): Outcome {
  const outcome = decode(bytes);
  if ("refused" in outcome) return outcome;
  const once = ClientFrame.encode(outcome.message).finish();
  const twice = ClientFrame.encode(ClientFrame.decode(once)).finish();
  if (Buffer.compare(once, twice) !== 0) expect([...twice]).toEqual([...once]);
  return outcome;
}

type Body = NonNullable<ClientFrame["body"]>;
const text = "Grüße 👋 and enough letters that the quicker way of reading long texts is taken";

/** One full frame of each kind; the type sees to it that none is missing. */
const samples: { readonly [Kind in Body]: Pick<ClientFrame, Kind> } = {
  hello: { hello: { ticket: text, cursor: Number.MAX_SAFE_INTEGER, client: "sdk 1.0" } },
  send: {
    send: {
      channelId: "d1.2",
      producer: 2 ** 52,
      number: 300,
      content: {
        attachments: { items: [{ url: "u", mediaType: "image/png", name: "é", bytes: 70_000 }], caption: text },
      },
    },
  },
  ack: { ack: { channelId: "g1", deliveredId: 300 } },
  sync: { sync: { cursor: 2 ** 40 } },
  history: { history: { channelId: "g1", anchor: 300, direction: 2, limit: 50 } },
  read: { read: { channelId: "g1", readId: 300, ordinal: 299 } },
  typing: { typing: { channelId: "g1", typing: true } },
  presenceWatch: { presenceWatch: { friends: true } },
  heartbeat: { heartbeat: { active: true } },
  presenceQuery: { presenceQuery: { channelId: "g1" } },
  logOut: { logOut: {} },
};

const REQUEST = 7;
/** As the gateway has them: plain bytes, two of them for the number of the request, and then the body to the end. */
const frames = Object.entries(samples).map(
  ([kind, sample]) => [kind, Uint8Array.from(ClientFrame.encode({ request: REQUEST, ...sample }).finish())] as const,
);

function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => randomBelow(random, 256));
}

describe.each(frames)("a frame of %s", (kind, frame) => {
  it("is refused when it ends early, wherever its body is cut", () => {
    for (let length = 0; length < frame.length; length++) {
      const cut = decode(frame.slice(0, length));
      if (length === 0) expect(cut).toEqual({ message: ClientFrame.decode(new Uint8Array()) });
      else if (length === 2) expect(cut).toMatchObject({ message: { request: REQUEST } });
      else expect([length, "refused" in cut]).toEqual([length, true]);
    }
  });

  it("is taken or refused with any one byte changed", () => {
    for (let at = 0; at < frame.length; at++) {
      for (let byte = 0; byte < 256; byte++) expectMessageOrRefusal(frame.with(at, byte));
    }
  });

  it("is taken or refused with pieces cut out, doubled, and put elsewhere", () => {
    const random = seededRandom(kind.length);
    const place = () => randomBelow(random, frame.length + 1);
    for (let turn = 0; turn < 1_000; turn++) {
      const [from, to] = [place(), place()].toSorted((one, other) => one - other);
      const rest = randomBelow(random, 2) === 0 ? frame : [...frame.slice(0, from), ...frame.slice(to)];
      const at = randomBelow(random, rest.length + 1);
      const moved = [...rest.slice(0, at), ...frame.slice(from, to), ...rest.slice(at)];
      expectMessageOrRefusal(Uint8Array.from(randomBelow(random, 3) === 0 ? rest : moved));
    }
  });
});

describe("random bytes", () => {
  it("are taken or refused", () => {
    const random = seededRandom(1);
    for (let turn = 0; turn < 20_000; turn++) expectMessageOrRefusal(randomBytes(random, randomBelow(random, 80)));
  });

  it("are taken or refused as the body of each kind", () => {
    const random = seededRandom(2);
    const outcomes = { taken: 0, refused: 0 };
    for (let turn = 0; turn < 20_000; turn++) {
      const body = randomBytes(random, randomBelow(random, 40));
      const tag = ((2 + randomBelow(random, 11)) << 3) | 2;
      const outcome = expectMessageOrRefusal(Uint8Array.from([tag, body.length, ...body]));
      outcomes["message" in outcome ? "taken" : "refused"] += 1;
    }
    // Or this would test one of the two only.
    expect(outcomes.taken).toBeGreaterThan(500);
    expect(outcomes.refused).toBeGreaterThan(500);
  });

  it("are refused in a moment, however many they are", () => {
    const bytes = randomBytes(seededRandom(3), 524_288);
    expect(isRefused(bytes)).toBe(true);
  });
});

describe("a length", () => {
  const lengths = [
    ["one more than there is", [11]],
    ["2 GB - 1", [0xff, 0xff, 0xff, 0xff, 0x07]],
    ["2 GB", [0x80, 0x80, 0x80, 0x80, 0x08]],
    ["4 GB - 1", [0xff, 0xff, 0xff, 0xff, 0x0f]],
    ["2^64 - 1", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ["without an end", Array.from({ length: 20 }, () => 0xff)],
  ] as const;
  const places = [
    ["of the body", (length: readonly number[]) => [0x12, ...length]],
    ["of a text", (length: readonly number[]) => [0x12, length.length + 11, 0x0a, ...length]],
    ["of an unknown field", (length: readonly number[]) => [0xfa, 0x01, ...length]],
    ["within an unknown group", (length: readonly number[]) => [0xfb, 0x01, 0x0a, ...length]],
  ] as const;

  describe.each(places)("%s", (_, place) => {
    it.each(lengths)("of %s is refused, and nothing is set aside for it", (_, length) => {
      const bytes = Uint8Array.from([...place(length), ...new Uint8Array(10)]);
      expect(bytes.length).toBeLessThan(50);
      const taken = Array.from({ length: 5 }, () => {
        const before = process.memoryUsage();
        const outcome = decode(bytes);
        const after = process.memoryUsage();
        expect(outcome).toHaveProperty("refused");
        return after.heapUsed - before.heapUsed + (after.arrayBuffers - before.arrayBuffers);
      });
      expect(Math.min(...taken)).toBeLessThan(1_000_000);
    });
  });

  it("that reaches out of its message into the next one is refused", () => {
    const text = [0x0a, 2, 0x67, 0x31]; // "g1"
    expect(isRefused([0x42, 4, ...text, 0x08, 1])).toBe(false);
    expect(isRefused([0x42, 3, ...text, 0x08, 1])).toBe(true);
    expect(isRefused([0x42, 4, 0x0a, 3, 0x67, 0x31, 0x08, 1])).toBe(true);
  });

  it("that ends within an integer is refused", () => {
    expect(isRefused([0x2a, 3, 0x08, 0x80, 0x01])).toBe(false);
    expect(isRefused([0x2a, 2, 0x08, 0x80, 0x01])).toBe(true);
  });
});

describe("what a client can send", () => {
  const root = new reflection.Root();
  root.resolvePath = (_, target) => fileURLToPath(new URL(target, import.meta.url));
  root.loadSync("client.proto").resolveAll();

  /** All fields below a message, by their paths. Throws if a message holds itself. */
  function fieldsBelow(type: reflection.Type, above: readonly reflection.Type[] = []): [string, reflection.Field][] {
    if (above.includes(type)) throw new Error(`${type.name} holds itself`);
    return type.fieldsArray.flatMap((field) => {
      const inner = field.resolvedType;
      const below = inner instanceof reflection.Type ? fieldsBelow(inner, [...above, type]) : [];
      const named = below.map(([path, leaf]): [string, reflection.Field] => [`${field.name}.${path}`, leaf]);
      return [[field.name, field], ...named];
    });
  }
  const fields = fieldsBelow(root.lookupType("madang.client.ClientFrame"));

  it("nests no deeper than the contract says: no message holds itself", () => {
    expect(fields.length).toBeGreaterThan(40); // fieldsBelow() would have thrown
    expect(Math.max(...fields.map(([path]) => path.split(".").length))).toBeLessThanOrEqual(6);
  });

  // A byte of a packed integer becomes eight of memory and more, a map is a table of strings of the stranger's choice.
  it("has no lists of scalars and no maps, which are small on the wire and large in memory", () => {
    const wide = fields.filter(
      ([, field]) => field.map || (field.repeated && !(field.resolvedType instanceof reflection.Type)),
    );
    expect(wide.map(([path]) => path)).toEqual([]);
  });
});

describe("groups, which the contract does not use", () => {
  const [begin, end] = [0x7b, 0x7c];
  const nested = (depth: number) => [...new Array(depth).fill(begin), ...new Array(depth).fill(end)];

  it("are skipped while they are shallow", () => {
    expect(decode(Uint8Array.from([...nested(20), 0x08, REQUEST]))).toMatchObject({ message: { request: REQUEST } });
  });

  it("are refused when they are deep, long before the stack is full", () => {
    expect(decode(Uint8Array.from(nested(1_000)))).toEqual({ refused: "max depth exceeded" });
    expect(decode(new Uint8Array(524_288).fill(begin))).toEqual({ refused: "max depth exceeded" });
  });

  it("are refused without their end, with another end, and with an end only", () => {
    expect(isRefused([begin])).toBe(true);
    expect(isRefused([begin, 0x84, 0x01])).toBe(true);
    expect(isRefused([end])).toBe(true);
  });
});

describe("tags", () => {
  it.each([
    ["of field 0", [0x02, 0]],
    ["of a wire type that does not exist", [0x0f, 0]],
    ["of more than 32 bits", [0xff, 0xff, 0xff, 0xff, 0x7f, 0]],
    ["without an end", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ])("%s are refused", (_, bytes) => {
    expect(isRefused(bytes)).toBe(true);
  });

  it("of a known field with another wire type leave that field alone", () => {
    const bytes = Uint8Array.from([0x0a, 1, 5, 0x10, 1, 0x08, REQUEST]); // request as a text, hello as an integer
    expect(decode(bytes)).toEqual({ message: ClientFrame.decode(Uint8Array.of(0x08, REQUEST)) });
  });
});

describe("a text", () => {
  /** Field 1 of a typing frame, as short and as long texts are read, by two ways of their own. */
  const places = [
    ["short", 0],
    ["of more than seven letters", 9],
    ["long", 100],
  ] as const;
  const typing = (letters: number, bytes: readonly number[]) => {
    const body = protobuf.Writer.create();
    body.uint32(0x0a).bytes(Uint8Array.from([...new Array(letters).fill(0x61), ...bytes]));
    return Uint8Array.from(protobuf.Writer.create().uint32(0x42).bytes(body.finish()).finish());
  };

  describe.each(places)("that is %s", (_, letters) => {
    it.each([
      ["a byte that never occurs", [0xff]],
      ["a continuation without a beginning", [0x80]],
      ["a beginning without a continuation", [0xc3]],
      ["a beginning with another letter after it", [0xe2, 0x82, 0x61]],
      ["NUL in two bytes", [0xc0, 0x80]],
      ["a slash in three bytes", [0xe0, 0x80, 0xaf]],
      ["the first half of a surrogate pair", [0xed, 0xa0, 0x80]],
      ["the second half of a surrogate pair", [0xed, 0xbf, 0xbf]],
      ["both halves, each by itself", [0xed, 0xa0, 0xbd, 0xed, 0xb1, 0x8b]],
      ["a code point above U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
      ["five bytes for one letter", [0xf8, 0x88, 0x80, 0x80, 0x80]],
    ])("is refused with %s, and not mended", (_, bytes) => {
      expect(decode(typing(letters, bytes))).toEqual({
        refused: "The encoded data was not valid for encoding utf-8",
      });
    });

    it.each(["\0", "\ufeff", "\uffff", "\ud7ff", "\ue000", "\u{10ffff}", "\u202e", "e\u0301"])(
      "is taken with %j, as it is",
      (letter) => {
        const message = ClientFrame.decode(typing(letters, [...new TextEncoder().encode(letter)]));
        expect(message.typing?.channelId).toBe("a".repeat(letters) + letter);
      },
    );

    // Our writers check nothing: they write half a pair as it is, which is refused, or, in long texts, U+FFFD for it.
    it.each(["\ud83d", "\udc4b", "\udc4b\ud83d"])("never arrives with half of a pair, %j", (half) => {
      const channelId = "a".repeat(letters) + half;
      const bytes = Uint8Array.from(ClientFrame.encode({ request: 0, typing: { channelId, typing: true } }).finish());
      const outcome = decode(bytes);
      if ("message" in outcome)
        expect(outcome.message.typing?.channelId).toSatisfy((got: string) => got.isWellFormed());
    });
  });
});

describe("the edge", () => {
  const asker = { userId: 1, deviceId: 2, loginId: "l" };
  /** Actors that were asked although the frame is bad. */
  const nobody = new Proxy(
    {},
    { get: () => () => new Proxy({}, { get: () => () => Promise.reject(new Error("asked")) }) },
  );
  const ask = (frame: ClientFrame) => answer(frame, asker, nobody as ActorRefs, { deadlineMs: 1_000 });

  const beyond = 2 ** 53;
  const send = { channelId: "g1", producer: 1, number: 1, content: null };
  const history = { channelId: "g1", anchor: 0, direction: 0, limit: 0 } as const;
  const read = { channelId: "g1", readId: 1, ordinal: 1 };

  it.each<[string, Omit<ClientFrame, "request">]>([
    ["Send.producer", { send: { ...send, producer: beyond } }],
    ["Send.number", { send: { ...send, number: beyond } }],
    ["Ack.delivered_id", { ack: { channelId: "g1", deliveredId: beyond } }],
    ["Read.read_id", { read: { ...read, readId: beyond } }],
    ["Read.ordinal", { read: { ...read, ordinal: beyond } }],
    ["History.anchor", { history: { ...history, anchor: beyond } }],
  ])("answers %s beyond 2^53 - 1 with BAD_FRAME", async (_, body) => {
    const frame = ClientFrame.decode(ClientFrame.encode({ request: 1, ...body }).finish());
    await expect(ask(frame)).rejects.toMatchObject({ code: "BAD_FRAME", retryable: false, executed: "no" });
  });

  it("takes the largest integer", () => {
    expect(checkId(Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER);
    for (const id of [beyond, 2 ** 64, -1, 0.5, Number.NaN]) expect(() => checkId(id)).toThrow("above 2^53 - 1");
  });

  it("answers a frame without a body, and one of a kind that it does not know, with BAD_FRAME", async () => {
    for (const bytes of [
      [0x08, 1],
      [0x08, 1, 0xfa, 0x01, 0],
    ]) {
      await expect(ask(ClientFrame.decode(Uint8Array.from(bytes)))).rejects.toMatchObject({ code: "BAD_FRAME" });
    }
  });
});
