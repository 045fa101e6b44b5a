// A server that is written in Go, built from its pinned module.

import { dirname, join } from "node:path";
import { cached, entryName } from "./cache.ts";
import { requireProgram, run } from "./command.ts";
import { pinFile } from "./pins.ts";

/** Static, so that no C compiler is needed; without paths and symbols, which a third of the size is. */
const BUILD = ["go", "build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w"];
const ENVIRONMENT = { CGO_ENABLED: "0" };

/** Resolves with the program's path. `engine` names the folder of go.mod and go.sum, and the program. */
export async function goProgram(
  cache: string,
  engine: string,
  module: string,
): Promise<{ readonly program: string; readonly built: boolean }> {
  const pins = ["go.mod", "go.sum"].map((file) => pinFile(`${engine}/${file}`));
  const name = await entryName(engine, pins, [...BUILD, module].join(" "));
  const { folder, built } = await cached(cache, name, async (growing) => {
    requireProgram("go", "install Go 1.26 or later (https://go.dev/dl), or set the engine's address to a running one");
    await run([...BUILD, "-o", join(growing, engine), module], {
      folder: dirname(pins[0] as string),
      environment: ENVIRONMENT,
    });
  });
  return { program: join(folder, engine), built };
}
