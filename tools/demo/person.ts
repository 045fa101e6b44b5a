// One device of one person, and the record of what it was told. The record outlives the client: a device may be switched off
// and started again.

import { type Client, ClientError, type ClientStore, createClient } from "../../client/index.ts";
import { nodeWebSocket } from "../../client/node.ts";
import type { HeardRecord, SendRecord } from "./count.ts";

const PASSWORD = "the gate stands open";

export class Device {
  readonly name: string;
  readonly person: string;
  readonly #url: string;
  readonly #openStore: () => Promise<ClientStore>;
  readonly heard = new Map<string, HeardRecord>();
  /** Sends whose promise went down with a client: their acknowledgement comes as an event of the next one. */
  readonly #byText = new Map<string, SendRecord>();
  #client: Client | undefined;
  userId = 0;
  reconnections = 0;

  constructor(name: string, person: string, url: string, openStore: () => Promise<ClientStore>) {
    this.name = name;
    this.person = person;
    this.#url = url;
    this.#openStore = openStore;
  }

  get client(): Client {
    if (this.#client === undefined) throw new Error(`${this.name} is switched off`);
    return this.#client;
  }

  get isOn(): boolean {
    return this.#client !== undefined;
  }

  async signUp(): Promise<void> {
    const client = await this.#open();
    await client.signUp({ name: this.person, password: PASSWORD });
    await client.close();
  }

  /** Logs in, or goes on with the log-in that its store has. */
  async switchOn(): Promise<void> {
    const client = await this.#open();
    this.#client = client;
    client.on("entries", ({ channelId, entries }) => {
      const record = this.recordOf(channelId);
      for (const { messageId, content } of entries) record.entries.push({ messageId, text: content?.text?.text });
    });
    client.on("state", ({ phase }) => {
      if (phase === "connecting") this.reconnections += 1;
    });
    const waiting = new Map(client.outbox.map(({ key, content }) => [key, content.text?.text ?? ""]));
    client.on("sent", ({ key, sent }) => {
      const record = this.#byText.get(waiting.get(key) ?? "");
      if (record) record.outcome = { kind: "acknowledged", messageId: sent.messageId };
    });
    if (client.userId === undefined) {
      await client.logIn({ name: this.person, password: PASSWORD, deviceName: this.name });
    } else await client.connect();
    this.userId = client.userId ?? 0;
  }

  /** From now on nothing is said on it: a text that came while the client closes would be nobody's. */
  async switchOff(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.close();
  }

  recordOf(channelId: string): HeardRecord {
    let record = this.heard.get(channelId);
    if (record === undefined) {
      record = { device: this.name, channelId, entries: [] };
      this.heard.set(channelId, record);
    }
    return record;
  }

  send(channelId: string, text: string): SendRecord {
    const record: SendRecord = { channelId, author: this.userId, text, outcome: { kind: "waiting" } };
    this.#byText.set(text, record);
    this.client
      .channel(channelId)
      .send(text)
      .then(
        ({ messageId }) => {
          record.outcome = { kind: "acknowledged", messageId };
        },
        (error: unknown) => {
          const code = error instanceof ClientError ? error.code : String(error);
          if (code !== "CLOSED") record.outcome = { kind: "refused", code }; // switched off: it waits in the store
        },
      );
    return record;
  }

  #open(): Promise<Client> {
    return this.#openStore().then((store) =>
      createClient({ url: this.#url, store, webSocket: nodeWebSocket, application: "madang-demo/1" }),
    );
  }
}
