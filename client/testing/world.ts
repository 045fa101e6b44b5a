// A client, its server and their clock.

import { type Client, createClient } from "../client.ts";
import type { ClientSettings } from "../settings.ts";
import { createMemoryStore } from "../store/memory.ts";
import type { ClientStore } from "../store/port.ts";
import type { ClientEvents } from "../types.ts";
import { countingRandom, createTestClock, type TestClock } from "./clock.ts";
import { FakeServer } from "./server.ts";

export interface World {
  readonly clock: TestClock;
  readonly server: FakeServer;
  readonly records: Map<string, Uint8Array>;
  /** A client on the same records: what a restarted program is. */
  start(options?: {
    records?: Map<string, Uint8Array>;
    store?: ClientStore;
    settings?: Partial<ClientSettings>;
  }): Promise<Started>;
}

export interface Started {
  readonly client: Client;
  /** Texts that were announced, in their order, by channel. */
  readonly heard: Map<string, string[]>;
  readonly ids: Map<string, number[]>;
  readonly events: { readonly name: keyof ClientEvents; readonly payload: unknown }[];
}

export function createWorld(): World {
  const clock = createTestClock();
  const server = new FakeServer();
  const records = new Map<string, Uint8Array>();
  const random = countingRandom();
  return {
    clock,
    server,
    records,
    async start(options = {}) {
      const client = await createClient({
        url: "http://fake",
        store: options.store ?? createMemoryStore(options.records ?? records),
        fetch: server.fetch,
        webSocket: server.webSocket,
        clock,
        random,
        ...(options.settings ? { settings: options.settings } : {}),
      });
      const heard = new Map<string, string[]>();
      const ids = new Map<string, number[]>();
      const events: Started["events"] = [];
      client.on("entries", ({ channelId, entries }) => {
        heard.set(channelId, [...(heard.get(channelId) ?? []), ...entries.map((e) => e.content?.text?.text ?? "")]);
        ids.set(channelId, [...(ids.get(channelId) ?? []), ...entries.map((e) => e.messageId)]);
      });
      for (const name of ["state", "gap", "sent", "refused", "receipt", "typing", "problem"] as const) {
        client.on(name, (payload) => events.push({ name, payload }));
      }
      if (client.userId === undefined) await client.logIn({ name: "a", password: "p" });
      else await client.connect();
      await clock.settle();
      return { client, heard, ids, events };
    },
  };
}
