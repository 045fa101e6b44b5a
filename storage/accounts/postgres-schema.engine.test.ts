import { beforeEach, expect, it } from "vitest";
import { silentLogger, systemClock } from "../../runtime/index.ts";
import { applyAccountsSchema, openPostgresAccounts } from "./index.ts";
import { useDatabase } from "./postgres.test-rig.ts";
import { schemaVersion } from "./schema.ts";

const database = useDatabase();
const options = { url: database.url, clock: systemClock, log: silentLogger };

beforeEach(() => database.clear());

it("a database that was not migrated is refused, with the command that does it, and is not changed", async () => {
  const error: unknown = await openPostgresAccounts(options).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "SCHEMA_MISSING", retryable: false });
  expect((error as Error).message).toContain("madang schema apply");
  expect((error as Error).message).toContain(database.name);
  expect(await database.query("select 1 from pg_tables where schemaname = 'public'")).toEqual([]);
});

it("many who apply the schema at once take turns, and one of them does it", async () => {
  const applied = await Promise.all(Array.from({ length: 8 }, () => applyAccountsSchema(options)));
  expect(applied.map(({ from }) => from).toSorted((a, b) => a - b)).toEqual([0, ...Array(7).fill(schemaVersion)]);
  expect(new Set(applied.map(({ to }) => to))).toEqual(new Set([schemaVersion]));
  expect(await database.query("select version from schema_version")).toEqual([{ version: schemaVersion }]);
  expect(await database.query("select count(*)::int as count, max(worker) as max from workers")).toEqual([
    { count: 1_024, max: 1_023 },
  ]);
  const store = await openPostgresAccounts(options);
  await store.close();
});

it("a database of an older version is refused by a node, and brought up by the command", async () => {
  await applyAccountsSchema(options);
  await database.query("drop table workers, attempts, secrets");
  await database.query("update schema_version set version = 2");
  await expect(openPostgresAccounts(options)).rejects.toMatchObject({
    code: "SCHEMA_MISSING",
    message: expect.stringContaining("of version 2"),
  });
  expect(await applyAccountsSchema(options)).toEqual({ from: 2, to: schemaVersion });
  await (await openPostgresAccounts(options)).close();
});

it("a database of a newer version is refused by both", async () => {
  await applyAccountsSchema(options);
  await database.query("update schema_version set version = 99");
  for (const open of [openPostgresAccounts, applyAccountsSchema]) {
    await expect(open(options)).rejects.toMatchObject({
      code: "SCHEMA_TOO_NEW",
      detail: { found: 99, known: schemaVersion },
      message: expect.stringContaining(database.name),
    });
  }
});

it("a step that breaks off leaves nothing behind", async () => {
  await database.query("create table workers (mine int)");
  await expect(applyAccountsSchema(options)).rejects.toThrow("already exists");
  expect(await database.query("select version from schema_version")).toEqual([{ version: 2 }]);
  expect(await database.query("select 1 from pg_tables where tablename = 'attempts'")).toEqual([]);
  await database.query("drop table workers");
  expect(await applyAccountsSchema(options)).toEqual({ from: 2, to: schemaVersion });
});
