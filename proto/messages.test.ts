// The generated codecs against the .proto files. The files are read here anew, by protobufjs' reflection, so that generated
// code which is stale, or wrong in the same way in both directions, does not agree with itself unnoticed.

import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import reflection from "protobufjs";
import { beforeAll, describe, expect, it } from "vitest";
import { type Random, randomBelow, seededRandom } from "../runtime/random.ts";
import type { Codec } from "./codec.ts";
import * as actor from "./gen/actor.ts";
import * as client from "./gen/client.ts";
import * as cluster from "./gen/cluster.ts";
import * as kept from "./gen/kept.ts";
import { madang as node } from "./gen/node.pb.js";

type Plain = Record<string, unknown>;
type Coded = Codec<Plain>;

const INSTANCES = 300;
const { Enum, Root, Type } = reflection;

const root = new Root();
root.resolvePath = (_, target) => {
  const folder = target.startsWith("google/") ? "../node_modules/protobufjs/" : "./";
  return fileURLToPath(new URL(folder + target, import.meta.url));
};
root.loadSync(["client.proto", "actor.proto", "cluster.proto", "kept.proto"]).resolveAll();

function messagesOf(space: reflection.NamespaceBase): reflection.Type[] {
  return space.nestedArray.flatMap((found) => (found instanceof Type ? [found, ...messagesOf(found)] : []));
}

const shortName = (type: reflection.ReflectionObject) => type.fullName.split(".").slice(3);

/** Every message, with each generated codec that there is for it: what clients and nodes share is generated twice. */
const messages = Object.entries({ client, actor, cluster, kept }).flatMap(([name, generated]) =>
  messagesOf(root.lookup(`madang.${name}`) as reflection.Namespace).flatMap((type) => {
    const door = (generated as unknown as Record<string, Coded>)[shortName(type).join("")];
    const path = `${name}.${shortName(type).join(".")}`;
    const own = { path, type, codec: door as Coded };
    if (name !== "client") return [own];
    const inNode = shortName(type).reduce((space, part) => space?.[part], node.client);
    return [own, { path: `${path}, as nodes carry it`, type, codec: inNode as Coded }];
  }),
);

function pick<T>(random: Random, list: readonly T[]): T {
  return list[randomBelow(random, list.length)] as T;
}

/** Of any magnitude, and often at the edges of it. */
function integer(random: Random, bits: number): number {
  if (randomBelow(random, 16) === 0) return 0; // what is left out on the wire: by chance alone a field may never see it
  const magnitude = 2 ** randomBelow(random, bits + 1);
  return pick(random, [magnitude - 1, Math.min(magnitude, 2 ** bits - 1), randomBelow(random, magnitude)]);
}

const alphabet = ["a", "Z", "0", " ", "\0", "\n", "é", "ß", "न", "한", "�", "\ufeff", "\u{10ffff}", "👩‍👩‍👧"];
const text = (random: Random) =>
  Array.from({ length: pick(random, [0, 1, 7, 8, 9, 63, 64, 65, 300]) }, () => pick(random, alphabet)).join("");

function scalar(random: Random, kind: string): unknown {
  switch (kind) {
    case "uint64":
      return integer(random, 53);
    case "sint64":
      return integer(random, 53) * pick(random, [1, -1]) + 0; // -0 is 0 on the wire
    case "uint32":
      return integer(random, 32);
    case "bool":
      return pick(random, [false, true]);
    case "string":
      return text(random);
    case "bytes":
      return Uint8Array.from({ length: pick(random, [0, 1, 127, 128, 300]) }, () => randomBelow(random, 256));
    default:
      throw new Error(`the contract uses ${kind} now: teach this test to make one`);
  }
}

function single(random: Random, field: reflection.Field): unknown {
  if (field.resolvedType instanceof Enum) return pick(random, Object.values(field.resolvedType.values));
  if (field.resolvedType instanceof Type) return instance(random, field.resolvedType);
  return scalar(random, field.type);
}

function value(random: Random, field: reflection.Field): unknown {
  if (field.map) throw new Error("the contract uses maps now: teach this test to make one");
  if (!field.repeated) return single(random, field);
  return Array.from({ length: randomBelow(random, 4) }, () => single(random, field));
}

/** Scalars and lists always present, messages present or not, one arm of a oneof at most: as the types say. */
function instance(random: Random, type: reflection.Type): Plain {
  const made: Plain = {};
  for (const field of type.fieldsArray) {
    if (field.partOf) continue;
    if (field.resolvedType instanceof Type && !field.repeated && randomBelow(random, 4) === 0) continue;
    made[field.name] = value(random, field);
  }
  for (const oneof of type.oneofsArray) {
    const arm = pick(random, [undefined, ...oneof.fieldsArray]);
    if (arm) made[arm.name] = value(random, arm);
  }
  return made;
}

/** What a reader of the message sees: own fields and defaults alike, and bytes as numbers. */
function seen(type: reflection.Type, message: Plain): Plain {
  const one = (field: reflection.Field, got: unknown): unknown => {
    if (field.resolvedType instanceof Type) return seen(field.resolvedType, got as Plain);
    return got instanceof Uint8Array ? [...got] : got;
  };
  const found: Plain = {};
  for (const field of type.fieldsArray) {
    const got = message[field.name];
    if (got == null) continue;
    found[field.name] = field.repeated ? (got as unknown[]).map((item) => one(field, item)) : one(field, got);
  }
  return found;
}

function instancesOf(type: reflection.Type): Plain[] {
  const random = seededRandom([...type.fullName].reduce((sum, letter) => sum * 31 + (letter.codePointAt(0) ?? 0), 0));
  return Array.from({ length: INSTANCES }, () => instance(random, type));
}

it("every message of the contracts has its codec", () => {
  expect(messages.length).toBeGreaterThan(100);
  const missing = messages.filter(({ codec }) => typeof codec?.encode !== "function");
  expect(missing.map(({ path }) => path)).toEqual([]);
});

function defaultOf(field: reflection.Field): unknown {
  if (field.repeated || field.type === "bytes") return [];
  if (field.type === "string") return "";
  return field.type === "bool" ? false : 0;
}

/** Quicker than `toEqual` for the many that are equal; the first that is not is shown in full. */
function expectSame(type: reflection.Type, got: unknown, made: Plain): void {
  const [found, wanted] = [seen(type, got as Plain), seen(type, made)];
  if (!isDeepStrictEqual(found, wanted)) expect(found).toEqual(wanted);
}

// ---- bytes that no encoder of ours writes

function varint(value: bigint): number[] {
  return value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...varint(value >> 7n)];
}
const tag = (id: number, wireType: number) => varint(BigInt((id << 3) | wireType));
const zigzag = (value: bigint) => (value >= 0n ? value << 1n : (-value << 1n) - 1n);

/** What a later version may have added: each wire type of proto3 once, under numbers that are not taken. */
const newer = [
  [...tag(2_001, 0), ...varint(2n ** 64n - 1n)],
  [...tag(2_002, 1), 1, 2, 3, 4, 5, 6, 7, 8],
  [...tag(2_003, 2), 3, 0xff, 0xff, 0xff],
  [...tag(2_004, 5), 1, 2, 3, 4],
].flat();

const hex = (bytes: ArrayLike<number>) => Buffer.from(Array.from(bytes)).toString("hex");

const LARGEST = 2n ** 53n - 1n;
const exact = { uint64: [0n, 1n, LARGEST], sint64: [0n, 1n, -1n, LARGEST, -LARGEST] };
const beyond = {
  uint64: [LARGEST + 1n, LARGEST + 2n, 2n ** 60n + 1n, 2n ** 64n - 1n],
  sint64: [LARGEST + 1n, -LARGEST - 1n, -LARGEST - 2n, 2n ** 63n - 1n, -(2n ** 63n)],
};

describe.each(messages)("$path", ({ type, codec }) => {
  let made: Plain[];
  beforeAll(() => {
    made = instancesOf(type);
  });

  it("comes back from the wire as it was", () => {
    for (const message of made) expectSame(type, codec.decode(codec.encode(message).finish()), message);
  });

  it("is written and read as the .proto file says", () => {
    for (const message of made) {
      expectSame(type, type.decode(codec.encode(message).finish()), message);
      expectSame(type, codec.decode(type.encode(message).finish()), message);
    }
  });

  it("is read as before when a newer version has added fields", () => {
    for (const message of made.slice(0, 30)) {
      const bytes = codec.encode(message).finish();
      expectSame(type, codec.decode(Uint8Array.from([...newer, ...bytes, ...newer])), message);
    }
  });

  it("passes on what a newer version has added, also within what it holds", () => {
    for (const message of made.slice(0, 30)) {
      const bytes = codec.encode(message).finish();
      const passed = codec.encode(codec.decode(Uint8Array.from([...newer, ...bytes, ...newer]))).finish();
      expect(hex(passed)).toBe(hex([...bytes, ...newer, ...newer]));
    }
    for (const field of type.fieldsArray.filter(({ resolvedType }) => resolvedType instanceof Type)) {
      const bytes = [...tag(field.id, 2), newer.length, ...newer];
      expect(hex(codec.encode(codec.decode(Uint8Array.from(bytes))).finish())).toBe(hex(bytes));
    }
  });

  it("is all defaults when nothing was sent", () => {
    const empty = codec.decode(new Uint8Array()) as Plain;
    for (const field of type.fieldsArray) {
      const single = field.resolvedType instanceof Type && !field.repeated;
      expect({ [field.name]: seen(type, empty)[field.name] }).toEqual({
        [field.name]: single ? undefined : defaultOf(field),
      });
    }
    for (const oneof of type.oneofsArray) expect(empty[oneof.name]).toBeUndefined();
  });
});

const wideOf = (type: reflection.Type) => type.fieldsArray.filter((field) => /64/.test(field.type));
const enumsOf = (type: reflection.Type) => type.fieldsArray.filter((field) => field.resolvedType instanceof Enum);

describe.each(messages.filter(({ type }) => wideOf(type).length > 0))("64-bit integers of $path", ({ type, codec }) => {
  const decoder = (field: reflection.Field) => (value: bigint) => {
    const wire = varint(field.type === "sint64" ? zigzag(value) : value);
    const bytes = field.repeated ? [...tag(field.id, 2), wire.length, ...wire] : [...tag(field.id, 0), ...wire];
    const got = codec.decode(Uint8Array.from(bytes))[field.name];
    return field.repeated ? (got as unknown[])[0] : got;
  };

  it("are exact numbers up to 2^53 - 1", () => {
    for (const field of wideOf(type)) {
      const values = exact[field.type as keyof typeof exact];
      expect({ [field.name]: values.map(decoder(field)) }).toEqual({ [field.name]: values.map(Number) });
    }
  });

  // A reader gets a rounded number; whoever takes it from a stranger refuses it by this.
  it("are not safe integers beyond it", () => {
    for (const field of wideOf(type)) {
      const decoded = beyond[field.type as keyof typeof beyond].map(decoder(field));
      const wrong = decoded.filter((got) => typeof got !== "number" || Number.isSafeInteger(got));
      expect({ [field.name]: wrong }).toEqual({ [field.name]: [] });
    }
  });
});

describe.each(messages.filter(({ type }) => type.oneofsArray.length > 0))("a group of $path", ({ type, codec }) => {
  it("holds the arm that came last, and tells which it is", () => {
    for (const oneof of type.oneofsArray) {
      for (const [at, arm] of oneof.fieldsArray.entries()) {
        const before = oneof.fieldsArray.at(at - 1) as reflection.Field;
        const got = codec.decode(Uint8Array.from([...tag(before.id, 2), 0, ...tag(arm.id, 2), 0]));
        expect(got[oneof.name]).toBe(arm.name);
        expect(Object.keys(seen(type, got)).filter((name) => oneof.oneof.includes(name))).toEqual([arm.name]);
      }
    }
  });
});

describe.each(messages.filter(({ type }) => enumsOf(type).length > 0))("an enum in $path", ({ type, codec }) => {
  it("keeps the number of a value that a newer version has added", () => {
    for (const field of enumsOf(type)) {
      const got = codec.decode(Uint8Array.from([...tag(field.id, 0), ...varint(1_000n)]));
      expect(got[field.name]).toBe(1_000);
      expect(codec.decode(codec.encode(got).finish())[field.name]).toBe(1_000);
    }
  });
});

it("the instances above take every arm, every enum value, and each field empty and filled", () => {
  const missed = messages.flatMap(({ path, type }) => {
    const all = instancesOf(type).map((message) => seen(type, message));
    return type.fieldsArray.flatMap((field) => {
      const kinds = new Set(all.map((message) => JSON.stringify(message[field.name]) ?? "absent"));
      const alone = field.resolvedType instanceof Type && !field.repeated;
      const empty = alone ? "absent" : JSON.stringify(defaultOf(field));
      const values = field.resolvedType instanceof Enum ? Object.values(field.resolvedType.values).map(String) : [];
      const unseen = [empty, ...values].filter((kind) => !kinds.has(kind));
      if (kinds.size < 2) unseen.push("filled");
      return unseen.map((kind) => `${path}.${field.name} ${kind}`);
    });
  });
  expect(missed).toEqual([]);
});

describe("a codec", () => {
  const hello = { ticket: "t", cursor: 300, client: "" };

  it("writes these bytes, by the rules of the wire format", () => {
    const frame = client.ClientFrame.encode({ request: 7, hello }).finish();
    expect([...frame]).toEqual([0x08, 7, 0x12, 6, 0x0a, 1, 0x74, 0x10, 0xac, 0x02]);
    const sent = client.ServerFrame.encode({
      request: 0,
      sent: { channelId: "g1", messageId: 1, timeMs: -1 },
    }).finish();
    expect([...sent]).toEqual([0x1a, 8, 0x0a, 2, 0x67, 0x31, 0x10, 1, 0x18, 1]);
  });

  it("appends to the writer that it is given", () => {
    const writer = client.Sync.encode({ cursor: 1 });
    expect([...client.Sync.encode({ cursor: 2 }, writer).finish()]).toEqual([0x08, 1, 0x08, 2]);
  });

  // As the gateway gives them: a Buffer, which `encode` makes, has another reader and another `slice`.
  it.each([Uint8Array, Buffer])("gives byte fields as views of what it was given, a %o", (kind) => {
    const bytes = kind.from(client.Ciphertext.encode({ data: Uint8Array.of(1, 2, 3) }).finish());
    const { data } = client.Ciphertext.decode(bytes);
    bytes.fill(9);
    expect([...data]).toEqual([9, 9, 9]);
  });

  it.each([Uint8Array, Buffer])("gives unknown fields as views of what it was given, a %o", (kind) => {
    const bytes = kind.from([...tag(2_001, 0), 1]);
    const got = client.System.decode(bytes);
    bytes.fill(9);
    expect([...client.System.encode(got).finish()]).toEqual([9, 9, 9]);
  });

  it("copies texts", () => {
    const bytes = client.System.encode({ text: "kept" }).finish();
    const { text: got } = client.System.decode(bytes);
    bytes.fill(0);
    expect(got).toBe("kept");
  });
});
