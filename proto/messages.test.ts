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

/** Quicker than `toEqual` for the many that are equal; the first that is not is shown in full. */
function expectSame(type: reflection.Type, got: unknown, made: Plain): void {
  const [found, wanted] = [seen(type, got as Plain), seen(type, made)];
  if (!isDeepStrictEqual(found, wanted)) expect(found).toEqual(wanted);
}

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
});
