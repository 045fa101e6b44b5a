import { expect, it } from "vitest";
import { randomBelow, seededRandom } from "../runtime/random.ts";
import { directChannelId, parseChannelId } from "./channel-id.ts";

const LARGEST = Number.MAX_SAFE_INTEGER;
const random = seededRandom(11);
/** Of any magnitude, so that short and long ids meet. */
const anyUser = () => 1 + randomBelow(random, 2 ** (1 + randomBelow(random, 53)) - 1);
const pairs = Array.from({ length: 2_000 }, () => [anyUser(), anyUser()] as const);

it("both sides of a 1:1 spell the same id", () => {
  for (const [one, other] of pairs) expect(directChannelId(one, other)).toBe(directChannelId(other, one));
});

it("the id of a 1:1 tells its two users, the lower one first by number and not by spelling", () => {
  expect(directChannelId(10, 9)).toBe("d9.10");
  for (const [one, other] of [...pairs, [1, LARGEST], [LARGEST - 1, LARGEST]] as const) {
    const users = [Math.min(one, other), Math.max(one, other)];
    expect(parseChannelId(directChannelId(one, other))).toEqual({ kind: "direct", users });
  }
});

it("two other people never share the id", () => {
  const people = [1, 2, 11, 12, 21, 112, 121, 211];
  const ids = people.flatMap((one) =>
    people.filter((other) => one < other).map((other) => directChannelId(one, other)),
  );
  expect(new Set(ids).size).toBe((people.length * (people.length - 1)) / 2);
});

it("an id that parses is the one that its users spell", () => {
  const alphabet = "dg.0123456789";
  const letter = () => alphabet.charAt(randomBelow(random, alphabet.length));
  let parsed = 0;
  for (let at = 0; at < 20_000; at++) {
    const tail = Array.from({ length: 1 + randomBelow(random, 5) }, letter).join("");
    const id = `${"dg".charAt(at % 2)}${tail}`;
    const name = parseChannelId(id);
    if (name === undefined) continue;
    parsed += 1;
    if (name.kind === "direct") expect(directChannelId(...name.users)).toBe(id);
    else expect(id).toBe(`g${Number(id.slice(1))}`);
  }
  expect(parsed).toBeGreaterThan(1_000);
});

it.each(["g1", "g42", `g${LARGEST}`])("%s is a group", (id) => {
  expect(parseChannelId(id)).toEqual({ kind: "group" });
});

it.each([
  ["nothing", ""],
  ["no kind", "1"],
  ["no number", "g"],
  ["another kind", "x1"],
  ["a capital letter", "G1"],
  ["zero", "g0"],
  ["a leading zero", "g01"],
  ["a sign", "g-1"],
  ["a fraction", "g1.5"],
  ["an exponent", "g1e3"],
  ["digits of another script", "g١"],
  ["more digits than 2^53 has", "g12345678901234567"],
  ["2^53", "g9007199254740992"],
  ["sixteen digits above 2^53", "g9999999999999999"],
  ["a line feed after it", "g1\n"],
  ["a space before it", " g1"],
  ["a NUL after it", "g1\0"],
  ["one user", "d1"],
  ["one user and a dot", "d1."],
  ["no lower user", "d.2"],
  ["three users", "d1.2.3"],
  ["the higher user first", "d2.1"],
  ["the higher user first, though its spelling sorts first", "d10.9"],
  ["user 0", "d0.1"],
  ["a leading zero of the lower user", "d01.2"],
  ["a leading zero of the higher user", "d1.02"],
  ["another separator", "d1:2"],
  ["a space between", "d1. 2"],
  ["a line feed after the users", "d1.2\n"],
  ["a higher user above 2^53 - 1", `d1.${BigInt(LARGEST) + 1n}`],
  ["two users that round to the same number", `d${BigInt(LARGEST) + 1n}.${BigInt(LARGEST) + 2n}`],
])("%s is no channel", (_, id) => {
  expect(parseChannelId(id)).toBeUndefined();
});

it("a megabyte of digits is refused as quickly as a short id", () => {
  expect(parseChannelId(`d${"1".repeat(1_000_000)}.2`)).toBeUndefined();
});
