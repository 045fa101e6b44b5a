// docs/services.md is equal to the code: codes with their facts, limits, subjects, and the lines of the example.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { chatDefaults } from "../actors/index.ts";
import { type ServiceErrorCode, serviceError } from "../client/service/errors.ts";
import { serviceDefaults } from "../client/service/settings.ts";
import { runtimeErrors } from "../runtime/index.ts";
import { subjectsOf } from "../runtime/nats/subjects.ts";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const page = read("services.md");

describe("docs/services.md", () => {
  it("has the codes of client/service, with what they say of a retry and of the effect", () => {
    const list = /const kinds = \{(.*?)\} as const/s.exec(read("../client/service/errors.ts"))?.[1] ?? "";
    const codes = [...list.matchAll(/^ {2}([A-Z_]+): \{/gm)].map(([, code]) => code as ServiceErrorCode);
    expect(codes.length).toBeGreaterThan(8);
    const shown = [...page.matchAll(/^\| `([A-Z_]+)` \| (\w+) \| (\w+) \|/gm)].map((row) => row.slice(1));
    expect(shown).toEqual(
      codes.map((code) => {
        const { retryable, executed } = serviceError(code);
        return [code, retryable ? "yes" : "no", executed];
      }),
    );
  });

  it("has the limits that there are", () => {
    expect(page).toContain(`| ${chatDefaults.followersMax}; then`);
    expect(page).toContain(`| a lease | ${chatDefaults.followLeaseMsMax / 1_000} s |`);
    expect(page).toContain(`| ${chatDefaults.historyPageMax}, or ${chatDefaults.historyBytesMax / 2 ** 20} MiB |`);
    expect(page).toContain(`A channel remembers ${chatDefaults.producersAMemberMax} producers of services`);
    expect(page).toContain(`${serviceDefaults.callsWaitingMax.toLocaleString("en")} calls of this service wait`);
    expect(page).toContain(`pauses of ${serviceDefaults.retryPauseMs} to ${serviceDefaults.retryPauseMaxMs} ms`);
  });

  it("has the subjects of the nodes", () => {
    const subjects = subjectsOf("C");
    const written = (subject: string) =>
      `\`${subject.replace(".C.", ".<cluster>.").replace(".N.", ".<name>.").replace(".I.", ".<incarnation>.")}\``;
    expect(page).toContain(written(subjects.inbound("svc-N#I")));
    expect(page).toContain(written(subjects.lane("svc-N#I", 9)).replace("9", "<lane>"));
    expect(page).toContain(written(subjects.routes).replace("*", "<name>"));
  });

  it("shows lines of the example that runs", () => {
    const example = read("../examples/typescript/service.ts");
    const shown = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, code = ""]) => code);
    expect(shown.length).toBeGreaterThan(3);
    for (const code of shown) expect(example).toContain(code);
  });
});

it("a code of client/service that the cluster has too means the same there", () => {
  for (const [code, kind] of Object.entries(runtimeErrors.kinds)) {
    if (!["DEADLINE_EXCEEDED", "CANCELLED", "OVERLOADED", "TOO_LARGE", "UNAVAILABLE"].includes(code)) continue;
    expect(serviceError(code as ServiceErrorCode)).toMatchObject({
      retryable: kind.retryable,
      executed: kind.executed,
    });
  }
});
