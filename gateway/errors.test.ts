import { describe, expect, it } from "vitest";
import { ErrorCode } from "../proto/index.ts";
import { runtimeErrors, silentLogger } from "../runtime/index.ts";
import { createUntold, errorReply, gatewayErrors, isOnWire } from "./errors.ts";

describe("a code that is not on the wire", () => {
  it("is told as INTERNAL, with its own facts", () => {
    expect(errorReply(runtimeErrors.SHARD_LOST())).toMatchObject({ code: ErrorCode.INTERNAL, retryable: true });
  });

  it("is logged the first time that a client is told INTERNAL in its place, and no other code is", () => {
    const warned: object[] = [];
    const untold = createUntold({ ...silentLogger, warn: (facts) => void warned.push(facts) }, isOnWire);
    const lost = runtimeErrors.SHARD_LOST();
    for (const error of [lost, gatewayErrors.BAD_FRAME(), runtimeErrors.SHARD_LOST(), lost]) untold(error);
    expect(warned).toEqual([{ error: lost }]);
    untold(runtimeErrors.MOVED());
    expect(warned).toHaveLength(2);
  });
});
