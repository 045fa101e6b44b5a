// The size of the SDK as a browser loads it: client/index.ts and all it needs, minified and compressed.

import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** What a page should have to load for the SDK, with the protobuf code. */
export const SDK_GZIP_BYTES_MAX = 40_960;

export interface BundleSize {
  readonly minifiedBytes: number;
  readonly gzipBytes: number;
}

export async function measureSdk(): Promise<BundleSize> {
  const entry = fileURLToPath(new URL("../client/index.ts", import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [entry.replace(/[\\/]dist([\\/]client[\\/])/, "$1")],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  const code = outputFiles[0]?.contents ?? new Uint8Array();
  return { minifiedBytes: code.length, gzipBytes: gzipSync(code, { level: 9 }).length };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { minifiedBytes, gzipBytes } = await measureSdk();
  process.stdout.write(
    `SDK: ${minifiedBytes} bytes minified, ${gzipBytes} bytes gzip (at most ${SDK_GZIP_BYTES_MAX})\n`,
  );
  if (gzipBytes > SDK_GZIP_BYTES_MAX) process.exitCode = 1;
}
