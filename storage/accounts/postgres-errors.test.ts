import { expect, it } from "vitest";
import { atPlace, fromStatement } from "./postgres-errors.ts";

it("a permission that is missing is told as one, with what the server said", () => {
  const thrown = Object.assign(new Error("permission denied for table users"), { code: "42501" });
  const { error, broken } = fromStatement(thrown, "maybe");
  expect(broken).toBe(false);
  expect(atPlace(error, "db:5432, database chat")).toMatchObject({
    code: "DATABASE_REFUSED",
    retryable: false,
    executed: "no",
    message: expect.stringMatching(/^PostgreSQL at db:5432, .*permission denied for table users$/),
  });
});
