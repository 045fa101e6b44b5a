import { readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { findProgram, run } from "../command.ts";
import { servicesErrors } from "../errors.ts";

/** Debian keeps the servers of several versions side by side, off the PATH. */
const DEBIAN = "/usr/lib/postgresql";
const QUIETLY = { DEBIAN_FRONTEND: "noninteractive" };

/** Resolves with the folder of `initdb` and `postgres`; installs Debian's package when there is none. */
export async function postgresPrograms(): Promise<{ readonly programs: string; readonly built: boolean }> {
  const found = await installed();
  if (found !== undefined) return { programs: found, built: false };
  if (findProgram("apt-get") === undefined || process.getuid?.() !== 0) {
    throw servicesErrors.TOOL_MISSING({
      message:
        "`initdb` was not found: install PostgreSQL (Debian, as root: apt-get install postgresql), or set DATABASE_URL to a running one",
    });
  }
  await run(["apt-get", "update"]);
  await run(["apt-get", "install", "-y", "--no-install-recommends", "postgresql"], {
    environment: QUIETLY,
    toItsEnd: true,
  });
  const programs = await installed();
  if (programs === undefined)
    throw servicesErrors.STEP_FAILED({ message: "postgresql is installed, without `initdb`" });
  return { programs, built: true };
}

async function installed(): Promise<string | undefined> {
  const versions = (await readdir(DEBIAN).catch(() => [])).sort((a, b) => Number(b) - Number(a));
  const initdb = findProgram(
    "initdb",
    versions.map((version) => `${DEBIAN}/${version}/bin`),
  );
  return initdb === undefined ? undefined : dirname(initdb);
}
