// The closed lists of the folders against the one list of the contract.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { errorReply } from "../gateway/errors.ts";
import { type ErrorKind, MadangError } from "../runtime/errors.ts";
import { ErrorCode } from "./gen/client.ts";

const house = new URL("../", import.meta.url);
const rooms = ["actors", "bin", "client", "gateway", "proto", "push", "runtime", "storage", "."];

/** Never told to a client: the house acts on them itself, or they end the start of a node. A client that meets one all
 * the same is told INTERNAL. */
const indoors = [
  "MOVED", // the runtime asks the other node
  "SHARD_LOST",
  "NO_SUCH_METHOD", // nodes of different versions
  "TOO_LARGE", // between nodes: what clients send has bounds of its own
  "SERVICE_NOT_ALLOWED", // told to an internal service
  "NATS_UNREACHABLE", // at the start
  "NATS_REFUSED",
  "NATS_UNFIT",
  "PUSH_QUEUE_UNFIT",
  "CONSUL_UNREACHABLE",
  "CONSUL_FORBIDDEN",
  "CONSUL_GARBAGE",
  "CONTROL_UNREACHABLE",
  "SHARD_COUNT_MISMATCH",
  "NAME_IN_USE",
  "CLOCK_SKEW",
  "PLACEMENT_CORRUPT",
  "DATA_FOLDER_IN_USE",
  "SCHEMA_TOO_NEW",
  "SCHEMA_MISSING",
  "CLUSTER_MISMATCH",
  "STORE_UNREACHABLE",
  "STORE_REFUSED",
  "DATABASE_REFUSED",
  "NO_FREE_WORKER", // there are 1,024
  "STORE_CLOSED", // at the stop
  "NOT_COORDINATOR", // told to an operator
  "NO_SUCH_SHARD",
  "NO_SUCH_NODE",
  "NOT_MOVED",
  "NOT_DRAINED",
];

/** In the contract without a list that holds them. */
const reserved = [
  "UNSPECIFIED", // what proto3 asks of every enum
  "BLOCKED", // nothing refuses for a block
];

interface Found {
  readonly file: string;
  readonly name: string;
  readonly kinds: Readonly<Record<string, ErrorKind>>;
}

/** Every list that the sources declare, so that a new one cannot be forgotten here. */
async function findLists(): Promise<Found[]> {
  const files = rooms.flatMap((room) => {
    const names = readdirSync(new URL(`${room}/`, house), { recursive: room !== ".", encoding: "utf8" });
    return names.filter((name) => /(?<!\.test|\.d)\.ts$/.test(name)).map((name) => `${room}/${name}`);
  });
  const found: Found[] = [];
  for (const file of files) {
    const at = new URL(file, house);
    const names = [...readFileSync(at, "utf8").matchAll(/^export const (\w+) = errorList\(/gm)];
    if (names.length === 0) continue;
    const module = (await import(fileURLToPath(at))) as Record<string, Found>;
    for (const [, name = ""] of names) found.push({ file, name, kinds: module[name]?.kinds ?? {} });
  }
  return found;
}

const lists = await findLists();
const listed = lists.flatMap(({ name, kinds }) => Object.entries(kinds).map(([code, kind]) => ({ name, code, kind })));
const codesListed = new Set(listed.map(({ code }) => code));

it("every list of the house is found", () => {
  const names = lists.map(({ name }) => name).toSorted();
  expect(names).toEqual([
    "accountErrors",
    "chatErrors",
    "clusterErrors",
    "gatewayErrors",
    "httpErrors",
    "natsErrors",
    "pushErrors",
    "runtimeErrors",
    "storageErrors",
  ]);
});

it("the codes of the contract are those of the lists, but for what stays indoors", () => {
  const outdoors = [...codesListed].filter((code) => !indoors.includes(code));
  expect(Object.keys(ErrorCode).toSorted()).toEqual([...outdoors, ...reserved].toSorted());
});

it("what stays indoors is in a list, and what is reserved in none", () => {
  expect(indoors.filter((code) => !codesListed.has(code))).toEqual([]);
  expect(reserved.filter((code) => codesListed.has(code))).toEqual([]);
});

it("no two codes share a number", () => {
  const numbers = Object.values(ErrorCode);
  expect(new Set(numbers).size).toBe(numbers.length);
});

it("a code that is in several lists asks the same of the caller in each", () => {
  const asks = new Map<string, Set<string>>();
  for (const { code, kind } of listed) {
    const ask = `${code}: retryable ${kind.retryable}, executed ${kind.executed}`;
    asks.set(code, (asks.get(code) ?? new Set()).add(ask));
  }
  expect([...asks.values()].filter((found) => found.size > 1).map((found) => [...found])).toEqual([]);
});

describe("a client", () => {
  it.each(listed.filter(({ code }) => !indoors.includes(code)))("is told $code of $name by its number", (found) => {
    const reply = errorReply(new MadangError(found.code, found.kind));
    expect(reply.code).toBe((ErrorCode as Readonly<Record<string, number>>)[found.code]);
    expect(reply.retryable).toBe(found.kind.retryable);
  });

  it.each(listed.filter(({ code }) => indoors.includes(code)))("is told INTERNAL instead of $code", (found) => {
    expect(errorReply(new MadangError(found.code, found.kind)).code).toBe(ErrorCode.INTERNAL);
  });

  it("is told INTERNAL instead of a code that no list holds", () => {
    const kind = { retryable: false, executed: "no", sentence: "" } as const;
    for (const code of ["ADDED_BY_A_NEWER_NODE", "", "constructor", "toString", "__proto__"]) {
      expect(errorReply(new MadangError(code, kind)).code).toBe(ErrorCode.INTERNAL);
    }
  });
});
