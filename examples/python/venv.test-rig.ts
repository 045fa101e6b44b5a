// A Python that has what the example needs: MADANG_PYTHON, or a virtual environment in the cache, made at the first time.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { cached, cacheFolder, entryName } from "../../tools/services/cache.ts";

const run = promisify(execFile);
export const folder = fileURLToPath(new URL(".", import.meta.url));

/** @param place of the example: the compiled program is somewhere else than what is not compiled */
export async function findPython(place = folder): Promise<string> {
  const given = process.env.MADANG_PYTHON;
  if (given !== undefined && given !== "") return given;
  const requirements = join(place, "requirements.txt");
  const name = await entryName("python", [requirements], "python3 -m venv, pip install -r requirements.txt");
  const { folder: made } = await cached(cacheFolder(), name, async (growing) => {
    const venv = join(growing, "venv");
    await run("python3", ["-m", "venv", venv]).catch((cause: unknown) => {
      throw new Error(
        "The Python example needs Python 3.10 or later with venv (Debian: apt-get install python3-venv), or MADANG_PYTHON: a Python that has examples/python/requirements.txt.",
        { cause },
      );
    });
    await run(join(venv, "bin", "python"), ["-m", "pip", "install", "--quiet", "-r", requirements]);
  });
  return join(made, "venv", "bin", "python");
}

/** Writes generated/, as a reader of the example would. */
export async function generate(python: string, place = folder): Promise<void> {
  await run(python, ["generate.py"], { cwd: place });
}
