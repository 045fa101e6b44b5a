import { Client, types } from "cassandra-driver";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { StorageSettings } from "../settings.ts";
import { listChannels } from "./channels.ts";
import {
  clock,
  contactPoints,
  dropKeyspace,
  makeKeyspace,
  newKeyspace,
  type TestKeyspace,
} from "./keyspace.test-rig.ts";
import { applyCqlSchema } from "./schema.ts";

/** More than a page has. */
const CHANNELS = 1_100;
const names = Array.from({ length: CHANNELS }, (_, at) => `d1.${at + 2}`);
const [first = "", second = ""] = names;
/** From memory to the disk. */
const FLUSH_EVERY_MS = 1_000;

let test: TestKeyspace;
beforeAll(async () => {
  test = await makeKeyspace();
  const { driver } = test.connected;
  const flush = `ALTER TABLE messages WITH memtable_flush_period_in_ms = ${FLUSH_EVERY_MS}`;
  await driver.execute(flush, [], { prepare: false, readTimeout: 60_000 });
  const insert = "INSERT INTO messages (channel_id, bucket, message_id) VALUES (?, ?, ?) USING TIMESTAMP 2";
  const write = (name: string, bucket: number, id: bigint) => driver.execute(insert, [name, bucket, id]);
  const remove = "DELETE FROM messages USING TIMESTAMP 1 WHERE channel_id = ? AND bucket = 0 AND message_id > ?";
  // As owners do: what an earlier one may have left above the end is gone, and their own rows lie over it.
  await driver.execute(remove, [first, 0n]);
  await driver.execute(remove, [second, 1n]);
  await Promise.all(names.map((name) => write(name, 0, 1n)));
  await Promise.all([write(first, 0, 2n), write(second, 0, 2n), write(second, 1, 1_000n)]);
}, 60_000);
afterAll(() => test.drop());
afterEach(() => vi.restoreAllMocks());

const list = (settings: Partial<StorageSettings> = {}) =>
  all(listChannels({ contactPoints, keyspace: test.keyspace, settings: { retryPauseMs: 1, ...settings } }));

async function all(channels: AsyncIterable<string>): Promise<string[]> {
  const told: string[] = [];
  for await (const channel of channels) told.push(channel);
  return told;
}

/** Of the table, as far as the member knows that is asked. */
async function mebibytesOnDisk(): Promise<number> {
  const query = "SELECT mebibytes FROM system_views.disk_usage WHERE keyspace_name = ? AND table_name = 'messages'";
  const { rows } = await test.connected.driver.execute(query, [test.keyspace]);
  return Number(rows[0]?.mebibytes ?? 0);
}

describe("the channels of a ring", () => {
  it("are told each once, over several pages", async () => {
    expect((await list()).toSorted()).toEqual(names.toSorted());
  });

  it("are told from the disk, too", async () => {
    await expect.poll(mebibytesOnDisk, { timeout: 30 * FLUSH_EVERY_MS }).toBeGreaterThan(0);
    expect((await list()).toSorted()).toEqual(names.toSorted());
  });

  it("are all told though a page fails", async () => {
    const asked = vi.spyOn(Client.prototype, "execute");
    asked.mockRejectedValueOnce(new Error("a replica failed"));
    expect((await list()).toSorted()).toEqual(names.toSorted());
    expect(asked).toHaveBeenCalledTimes(3); // once for nothing, and two pages
  });

  it("are not there to be told when a page fails again and again", async () => {
    const asked = vi.spyOn(Client.prototype, "execute").mockRejectedValue(new Error("a replica failed"));
    await expect(list({ readAttemptsMax: 3 })).rejects.toMatchObject({ code: "UNAVAILABLE", retryable: true });
    expect(asked).toHaveBeenCalledTimes(3);
  });

  it("are not looked for again and again by whom the ring does not permit it", async () => {
    const forbidden = Object.assign(new Error("no SELECT permission"), { code: types.responseErrorCodes.unauthorized });
    const asked = vi.spyOn(Client.prototype, "execute").mockRejectedValue(forbidden);
    await expect(list()).rejects.toMatchObject({ code: "STORE_REFUSED" });
    expect(asked).toHaveBeenCalledTimes(1);
  });

  it("are not looked for again and again where there is no table of them", async () => {
    const keyspace = newKeyspace();
    onTestFinished(() => dropKeyspace(keyspace));
    await applyCqlSchema({ contactPoints, keyspace, clock });
    await test.connected.driver.execute(`DROP TABLE ${keyspace}.messages`, [], { prepare: false, readTimeout: 60_000 });
    const asked = vi.spyOn(Client.prototype, "execute");
    const listed = all(listChannels({ contactPoints, keyspace }));
    await expect(listed).rejects.toMatchObject({ code: "SCHEMA_MISSING" });
    expect(asked).toHaveBeenCalledTimes(1);
  });
});
