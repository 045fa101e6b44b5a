import { expect, it } from "vitest";
import { routingKeyOf } from "./routing-key.ts";

it("a key of one column is its value", () => {
  expect(routingKeyOf(["é"]).toString("hex")).toBe("c3a9");
  expect(routingKeyOf([258]).toString("hex")).toBe("00000102");
});

it("a key of several has lengths and ends", () => {
  expect(routingKeyOf(["g1", 7]).toString("hex")).toBe("0002673100" + "00040000000700");
});
