// docs/errors.md is equal to the closed lists: the same codes, the same numbers, statuses and facts.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { chatErrors } from "../actors/errors.ts";
import { type ClientErrorCode, clientError } from "../client/errors.ts";
import { gatewayErrors } from "../gateway/errors.ts";
import { httpErrors, statusOf } from "../gateway/http/errors.ts";
import { ErrorCode } from "../proto/index.ts";
import { pushErrors } from "../push/errors.ts";
import { type ErrorKind, runtimeErrors } from "../runtime/index.ts";
import { natsErrors } from "../runtime/nats/errors.ts";
import { clusterErrors } from "../runtime/placement/errors.ts";
import { accountErrors } from "../storage/accounts/errors.ts";
import { storageErrors } from "../storage/index.ts";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const page = read("errors.md");

const lists: Readonly<Record<string, Readonly<Record<string, ErrorKind>>>> = {
  "actors/errors.ts": chatErrors.kinds,
  "gateway/errors.ts": gatewayErrors.kinds,
  "gateway/http/errors.ts": httpErrors.kinds,
  "push/errors.ts": pushErrors.kinds,
  "runtime/errors.ts": runtimeErrors.kinds,
  "runtime/nats/errors.ts": natsErrors.kinds,
  "runtime/placement/errors.ts": clusterErrors.kinds,
  "storage/accounts/errors.ts": accountErrors.kinds,
  "storage/errors.ts": storageErrors.kinds,
};
const listed = new Map(Object.values(lists).flatMap((kinds) => Object.entries(kinds)));
const facts = ({ retryable, executed }: Pick<ErrorKind, "retryable" | "executed">) => [
  retryable ? "yes" : "no",
  executed,
];
const byCode = (a: readonly unknown[], b: readonly unknown[]) => String(a[0]).localeCompare(String(b[0]));

const section = (heading: string) => page.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
const rowsOf = (text: string) =>
  [...text.matchAll(/^\| `(\w+)` \|(.*)\|$/gm)].map(([, code = "", cells = ""]) => [
    code,
    ...cells.split("|").map((cell) => cell.trim()),
  ]);
const wireRows = rowsOf(page.split("\n## Inside\n")[0] ?? "");

describe("docs/errors.md", () => {
  it("has every code of the wire with its number", () => {
    const shown = wireRows.map(([code, number]) => [code, Number(number)]);
    expect(shown.toSorted(byCode)).toEqual(Object.entries(ErrorCode).toSorted(byCode));
  });

  it("has the HTTP status of each code that has one", () => {
    const shown = wireRows.filter(([, , status]) => /^\d+$/.test(status ?? ""));
    expect(shown.map(([code, , status]) => [code, Number(status)]).toSorted(byCode)).toEqual(
      Object.entries(statusOf).toSorted(byCode),
    );
  });

  it("tells of each code of the wire whether it helps to retry and whether it took effect, as the lists do", () => {
    const shown = wireRows.map(([code = "", , , retryable, executed]) => [code, retryable, executed]);
    expect(shown).toEqual(
      shown.map(([code = ""]) => {
        const kind = listed.get(code);
        return kind === undefined ? [code, "–", "–"] : [code, ...facts(kind)];
      }),
    );
  });

  it("has, under Inside, the listed codes that the wire does not have", () => {
    const inside = [...listed].filter(([code]) => !(code in ErrorCode)).map(([code, kind]) => [code, ...facts(kind)]);
    const shown = rowsOf(section("Inside")).map((row) => row.slice(0, 3));
    expect(shown.toSorted(byCode)).toEqual(inside.toSorted(byCode));
  });

  it("has the SDK's own codes", () => {
    const kinds = /const kinds = \{(.*?)\} as const/s.exec(read("../client/errors.ts"))?.[1] ?? "";
    const codes = [...kinds.matchAll(/^ {2}([A-Z_]+): \{/gm)].map(([, code]) => code as ClientErrorCode);
    expect(codes.length).toBeGreaterThan(10);
    const shown = rowsOf(section("The SDK's own")).map((row) => row.slice(0, 3));
    expect(shown.toSorted(byCode)).toEqual(codes.map((code) => [code, ...facts(clientError(code))]).toSorted(byCode));
  });

  it("names every file with a list", () => {
    const declared = execFileSync("git", ["grep", "-l", "= errorList(", "--", "*.ts"], {
      cwd: new URL("..", import.meta.url),
      encoding: "utf8",
    });
    // A tool's own codes are told by the tool.
    const product = declared.split("\n").filter((file) => file !== "" && !/\.test\.ts$|^tools\//.test(file));
    expect(product).toEqual(Object.keys(lists));
    for (const file of [...Object.keys(lists), "client/errors.ts"]) expect(page).toContain(`\`${file}\``);
  });
});

describe("a code", () => {
  it("means the same in every list that has it", () => {
    for (const kinds of Object.values(lists)) {
      for (const [code, kind] of Object.entries(kinds)) {
        expect([code, ...facts(kind)]).toEqual([code, ...facts(listed.get(code) as ErrorKind)]);
      }
    }
  });
});
