// Bundles the command line into dist/bin, over what the compiler put there: a start then opens 40 JavaScript files and not
// 700, which took more than half of its time. Without this step the compiled program does the same, later.
//
// Not minified: a stack in the log shows names and lines that can be read in the file beside it. Where two modules have the same
// name for something, one of them gets a number behind it, and so nothing may be decided by the name of a class or a function.
// (`keepNames` would give each closure its name anew whenever it is made: 3 % of an actor node's time.)

import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Stay in node_modules, and are loaded from there. */
const external = [
  // They bring native code.
  "@node-rs/argon2",
  "libsql",
  "lmdb",
  "uWebSockets.js",
  // It reads the files of its page beside itself.
  "@fastify/swagger-ui",
  // Fastify asks for them when it is given no compilers. It is given those of zod: gateway/http/api.ts.
  "@fastify/ajv-compiler",
  "@fastify/fast-json-stringify-compiler",
];

/** Modules have no `require`; packages that are not modules call it for what is built in and what stays outside. */
const banner =
  'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);';

const root = fileURLToPath(new URL("..", import.meta.url));
const outdir = join(root, "dist", "bin");

rmSync(join(outdir, "chunks"), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: ["bin/madang.ts"],
  outdir,
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true, // a command loads its own part only
  format: "esm",
  platform: "node",
  target: "node20",
  external,
  banner: { js: banner },
  sourcemap: true,
  logLevel: "warning",
});
