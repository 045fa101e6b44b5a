import type { QueryOptions } from "cassandra-driver";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../runtime/index.ts";
import { storageDefaults } from "../settings.ts";
import { CqlClient, nothingWritten, type Statement, type Write } from "./client.ts";
import { type Connected, RingCounters } from "./connect.ts";
import { createCqlQuorumStore } from "./quorum-store.ts";

/** A client whose driver does as it is told. */
function clientThat(answer: () => Promise<object>) {
  const asked: string[] = [];
  const options: QueryOptions[] = [];
  const driver = {
    hosts: {
      values: () => [
        { datacenter: "near", isUp: () => true },
        { datacenter: "near", isUp: () => false },
        { datacenter: "far", isUp: () => true },
      ],
    },
    execute(query: string, _params: unknown, how: QueryOptions) {
      asked.push(query);
      options.push(how);
      return answer();
    },
    batch(statements: readonly Statement[], how: QueryOptions) {
      asked.push(`batch of ${statements.length}`);
      options.push(how);
      return answer();
    },
  };
  const place = { routingKey: Buffer.from("g1"), token: Buffer.from("g1") };
  const members = { preferred: () => undefined, place: () => place };
  const connected = { driver, counters: new RingCounters(), localDataCenter: "near", members } as unknown as Connected;
  return { asked, options, place, client: new CqlClient(connected, storageDefaults, systemClock) };
}

const insert: Statement = { query: "INSERT", params: [] };
const writeOf = (rows: number, bytes = 1): Write => ({
  partition: ["g1"],
  statements: Array.from({ length: rows }, () => insert),
  bytes,
});

describe("what is written to the ring", () => {
  it("leaves as one statement, or as one batch of several", async () => {
    const { asked, client } = clientThat(async () => ({}));
    await client.write(writeOf(1), nothingWritten());
    await client.write(writeOf(2), nothingWritten());
    expect(asked).toEqual(["INSERT", "batch of 2"]);
    expect(client.traffic()).toMatchObject({ requests: 2, inFlight: 0 });
  });

  it("leaves with what else is written in this turn, and is counted apart", async () => {
    const { asked, client } = clientThat(async () => ({}));
    const written = nothingWritten();
    await Promise.all([client.write(writeOf(1), written), client.write(writeOf(2), written)]);
    expect(asked).toEqual(["batch of 3"]);
    expect(written).toMatchObject({ writes: 2, rows: 3 });
    expect(client.traffic()).toMatchObject({ requests: 1, writesTogether: 2, inFlight: 0 });
  });

  it("leaves alone while somebody waits for it and little is on its way, and behind that with others", async () => {
    const { asked, client } = clientThat(async () => ({}));
    const alone = storageDefaults.togetherAbove;
    await Promise.all(Array.from({ length: alone + 2 }, () => client.write({ ...writeOf(1), awaited: true })));
    expect(asked).toEqual([...Array.from({ length: alone }, () => "INSERT"), "batch of 2"]);
  });

  it("says where it lies, so that nobody works that out again", async () => {
    const { options, place, client } = clientThat(async () => ({ rows: [] }));
    await client.write(writeOf(1));
    await client.write(writeOf(2));
    await client.readUrgently(insert, place);
    expect(options).toEqual([place, place, place].map((each) => expect.objectContaining(each)));
  });

  it("may be said twice, as what is read may: another member is asked when one is slow", async () => {
    const { options, client } = clientThat(async () => ({ rows: [] }));
    await client.write(writeOf(1));
    await client.write(writeOf(2));
    await client.writeUrgently(insert);
    await client.readUrgently(insert);
    expect(options.map(({ isIdempotent }) => isIdempotent)).toEqual([true, true, true, true]);
  });

  it("is counted when it leaves, and counted once more when it failed", async () => {
    let away = false;
    const { client } = clientThat(async () => {
      if (away) throw new Error("no answer in time");
      return {};
    });
    const written = nothingWritten();
    await client.write(writeOf(2, 100), written);
    expect(written).toEqual({ writes: 1, rows: 2, bytes: 100, failed: 0 });
    away = true;
    await expect(client.write(writeOf(1, 50), written)).rejects.toThrow("no answer in time");
    expect(written).toEqual({ writes: 2, rows: 3, bytes: 150, failed: 1 });
  });
});

it("the ring is full while something waits for what is on its way, and not when all places are taken", async () => {
  let end = () => {};
  const answer = new Promise<object>((resolve) => {
    end = () => resolve({});
  });
  const { client } = clientThat(() => answer);
  const store = createCqlQuorumStore(client, storageDefaults);
  const writes = Array.from({ length: storageDefaults.requestsInFlightMax }, () => client.write(writeOf(1)));
  expect(store.isFull()).toBe(false);
  writes.push(client.write(writeOf(1)));
  expect(store.isFull()).toBe(true);
  end();
  await Promise.all(writes);
  expect(store.isFull()).toBe(false);
});

it("the members of this data centre are counted, and those of them that are reached", () => {
  const { client } = clientThat(async () => ({}));
  expect(client.traffic()).toMatchObject({ members: 2, membersReached: 1 });
});
