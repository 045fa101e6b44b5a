import { expect, it } from "vitest";
import { measureSdk, SDK_GZIP_BYTES_MAX } from "./bundle-size.ts";

it("the SDK with its protobuf code stays within its size, and needs nothing of Node", async () => {
  const { gzipBytes } = await measureSdk();
  expect(gzipBytes).toBeGreaterThan(5_000);
  expect(gzipBytes).toBeLessThanOrEqual(SDK_GZIP_BYTES_MAX);
});
