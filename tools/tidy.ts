// Rules of the house that no linter knows. Run by `make check`; tidy.test.ts plants a violation of each and sees it found.
//
//   boundary   a folder imports only the doors of the folders that it may know
//   door       other folders are entered by their index.ts (or a side door that is named here)
//   clock      nobody but the ports reads the clock, waits or throws dice
//   note       no work that was put off: TODO and its kin

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { pathToFileURL } from "node:url";

export interface Violation {
  readonly file: string;
  readonly line: number;
  readonly rule: "boundary" | "door" | "clock" | "note";
  readonly sentence: string;
}

/** Which rooms a room may know. Rooms that are not named here may know all. */
const mayKnow: Readonly<Record<string, readonly string[]>> = {
  proto: [],
  runtime: ["proto"],
  storage: ["proto", "runtime"],
  actors: ["proto", "runtime", "storage"],
  gateway: ["proto", "runtime", "storage/accounts"],
  push: ["proto", "runtime", "storage"],
  client: ["proto/client.ts"],
  "client/service": ["proto", "runtime/nats/server.ts"],
};

/** Doors beside index.ts, and who may use them. */
const sideDoors: Readonly<Record<string, readonly string[]>> = {
  "proto/client.ts": ["client", "bin", "tools", "bench"],
  "client/node.ts": ["bin", "tools", "bench"],
  "runtime/nats/server.ts": ["client"],
  "assembly/addresses.ts": ["bin"],
};

/** Rooms within a room that have a door of their own. */
const innerRooms = ["storage/accounts", "gateway/http", "client/service"];

/** Tests, and what only tests use, look behind doors on purpose. */
const testFile = /\.test(-rig)?\.ts$/;

/** The ports themselves, programs that stand outside of the house, and tests of real time. */
const ownClock = [
  /^runtime\/(clock|random|virtual-clock)\.ts$/,
  /^client\/(ports|system)\.ts$/,
  /^(bench|tools|bin|chaos)\//,
  /\.integration\.test\.ts$/,
];
const clockUse =
  /(?<![.\w])(?:Date\.now|performance\.now|Math\.random|setTimeout|setInterval|setImmediate)\s*\(|new Date\(\s*\)/;
const putOff = /\b(?:TODO|FIXME|XXX|HACK)\b/;

export function checkFile(file: string, text: string): Violation[] {
  const found: Violation[] = [];
  text.split("\n").forEach((content, at) => {
    const report = (rule: Violation["rule"], sentence: string) => found.push({ file, line: at + 1, rule, sentence });
    const target = /(?:from\s+|import\s*\(?\s*)["'](\.[^"']+)["']/.exec(content)?.[1];
    if (target !== undefined) {
      const broken = checkImport(file, normalize(join(dirname(file), target)));
      if (broken !== undefined) report(...broken);
    }
    const code = content.replace(/\/\/.*$|^\s*\*.*$/, "");
    if (clockUse.test(code) && !ownClock.some((pattern) => pattern.test(file))) {
      report("clock", "time and chance come through the ports Clock and Random");
    }
    if (putOff.test(content) && file !== "tools/tidy.ts" && file !== "tools/tidy.test.ts") {
      report("note", "work that is put off belongs into an issue");
    }
  });
  return found;
}

function roomOf(file: string): string {
  return (
    innerRooms.find((room) => file.startsWith(`${room}/`)) ?? (file.includes("/") ? (file.split("/")[0] as string) : "")
  );
}

function checkImport(file: string, target: string): [Violation["rule"], string] | undefined {
  if (testFile.test(file)) return undefined;
  const from = roomOf(file);
  const to = roomOf(target);
  const outer = (room: string) => room.split("/")[0] as string;
  if (to === "" || from === to) return undefined;
  // A room knows its own inner rooms, and they know it.
  const family = outer(from) === outer(to);
  const allowed = mayKnow[from] ?? mayKnow[outer(from)];
  if (!family && allowed !== undefined && !allowed.includes(to) && !allowed.includes(target)) {
    const known = allowed.length === 0 ? "nothing" : allowed.join(", ");
    return ["boundary", `${from}/ may know ${known}, not ${to}/`];
  }
  // The SDK is loaded by browsers, and the client for services is not.
  if (outer(from) === "client" && to === "client/service") return ["boundary", "client/ may not know client/service/"];
  if (family && !innerRooms.includes(to)) return undefined;
  if (target === `${to}/index.ts` || sideDoors[target]?.includes(outer(from)) || outer(from) === "") return undefined;
  // What measures and proves the whole looks behind doors on purpose.
  if (["bench", "tools", "chaos"].includes(outer(from))) return undefined;
  return ["door", `${to}/ is entered by ${to}/index.ts, not by ${target}`];
}

function main(): void {
  const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts"], {
    encoding: "utf8",
  })
    .split("\n")
    .filter((file) => file !== "" && !file.startsWith("proto/gen/"));
  const found = files.flatMap((file) => {
    try {
      return checkFile(file, readFileSync(file, "utf8"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return []; // deleted, and git does not know yet
      throw error;
    }
  });
  for (const { file, line, rule, sentence } of found) process.stderr.write(`${file}:${line} ${rule}: ${sentence}\n`);
  process.stdout.write(`tidy: ${files.length} files, ${found.length} violations\n`);
  if (found.length > 0) process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) main();
