// A client as small as can be, which keeps what it was promised: it sends numbered texts to one channel, one after another,
// sends again whatever was not answered, and writes down every ack. Shares nothing with the SDK.

import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";
import { ClientFrame, type Entry, ErrorCode, HistoryDirection, ServerFrame } from "../proto/index.ts";

export interface Account {
  readonly userId: number;
  readonly token: string;
}

export interface Acked {
  readonly number: number;
  readonly messageId: number;
  readonly text: string;
}

export async function request<T>(method: string, url: string, token: string, body?: object): Promise<T> {
  const response = await fetch(url, {
    method,
    headers: { "content-type": "application/json", ...(token === "" ? {} : { authorization: `Bearer ${token}` }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export async function signUp(http: string, name: string): Promise<Account> {
  const password = "correct horse battery";
  await request("POST", `${http}/v1/accounts`, "", { name, password });
  const body = { name, password, device: { name: "talker" } };
  const { userId, accessToken } = await request<{ userId: number; accessToken: string }>(
    "POST",
    `${http}/v1/sessions`,
    "",
    body,
  );
  return { userId, token: accessToken };
}

export class Talker {
  readonly acked: Acked[] = [];
  readonly errors: ErrorCode[] = [];
  readonly goneAway: number[] = [];
  readonly account: Account;
  readonly channelId: string;
  readonly producer: number;
  #next = 1;
  #socket: WebSocket | undefined;
  #request = 0;
  readonly #waiting = new Map<number, (frame: ServerFrame | undefined) => void>();

  constructor(account: Account, channelId: string, producer: number) {
    this.account = account;
    this.channelId = channelId;
    this.producer = producer;
  }

  async connect(http: string, ws: string): Promise<void> {
    const { ticket } = await request<{ ticket: string }>("POST", `${http}/v1/tickets`, this.account.token);
    const socket = new WebSocket(ws);
    this.#socket = socket;
    socket.on("message", (data: Buffer) => {
      const frame = ServerFrame.decode(new Uint8Array(data));
      if (frame.goAway) this.goneAway.push(frame.goAway.reason);
      const waiting = this.#waiting.get(frame.request);
      if (waiting === undefined || frame.welcome) return;
      this.#waiting.delete(frame.request);
      waiting(frame);
    });
    const over = () => {
      for (const waiting of this.#waiting.values()) waiting(undefined);
      this.#waiting.clear();
    };
    socket.on("close", over);
    socket.on("error", over);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", () => resolve());
      socket.once("error", reject);
    });
    await this.ask({ hello: { ticket, cursor: 0, client: "talker" } });
  }

  /** Undefined when the connection ended before the answer. */
  ask(frame: Omit<ClientFrame, "request">): Promise<ServerFrame | undefined> {
    const socket = this.#socket;
    if (socket === undefined || socket.readyState !== WebSocket.OPEN) return Promise.resolve(undefined);
    const requestNumber = ++this.#request;
    return new Promise((resolve) => {
      this.#waiting.set(requestNumber, resolve);
      socket.send(ClientFrame.encode({ request: requestNumber, ...frame }).finish());
    });
  }

  text(number: number): string {
    return `${this.account.userId} says ${number}`;
  }

  /** Sends until the connection ends or `enough` says so. What was not answered comes first the next time. */
  async talk(enough: () => boolean = () => false): Promise<void> {
    while (!enough()) {
      const number = this.#next;
      const content = { text: { text: this.text(number), replyTo: 0 } };
      const answer = await this.ask({ send: { channelId: this.channelId, producer: this.producer, number, content } });
      if (answer === undefined) return;
      if (answer.sent) {
        this.acked.push({ number, messageId: answer.sent.messageId, text: this.text(number) });
        this.#next += 1;
      } else if (answer.error) {
        this.errors.push(answer.error.code);
        if (answer.error.code === ErrorCode.SHUTTING_DOWN) return;
        await delay(Math.min(100, answer.error.retryAfterMs));
      }
    }
  }

  /** The whole history of the channel, by pages. */
  async history(): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (;;) {
      const anchor = entries.at(-1)?.messageId ?? 0;
      const history = { channelId: this.channelId, anchor, direction: HistoryDirection.AFTER, limit: 200 };
      const answer = await this.ask({ history });
      if (answer?.error?.code === ErrorCode.TOO_MANY_REQUESTS) {
        await delay(answer.error.retryAfterMs);
        continue;
      }
      // What is no page is no end of the history either.
      if (!answer?.page)
        throw new Error(`no page after ${anchor}: ${answer?.error?.message ?? "the connection ended"}`);
      if (answer.page.entries.length === 0) return entries;
      entries.push(...answer.page.entries);
    }
  }

  close(): void {
    this.#socket?.close();
  }
}

/** What is wrong with a history, given what was acknowledged: nothing, if all is well. */
export function findFaults(entries: readonly Entry[], talkers: readonly Talker[]): string[] {
  const faults: string[] = [];
  entries.forEach(({ messageId }, at) => {
    if (messageId !== at + 1) faults.push(`entry ${at + 1} has the id ${messageId}`);
  });
  const byIdentity = new Map<string, number>();
  for (const { author, producer, number, messageId } of entries) {
    const identity = `${author}/${producer}/${number}`;
    if (producer !== 0 && byIdentity.has(identity)) faults.push(`${identity} was kept twice`);
    byIdentity.set(identity, messageId);
  }
  for (const { acked, account, producer: own } of talkers) {
    for (const { messageId, text } of acked) {
      const entry = entries[messageId - 1];
      if (entry?.author !== account.userId || entry.content?.text?.text !== text)
        faults.push(`"${text}" was acknowledged and is lost`);
    }
    let last = 0;
    for (const { author, producer, number } of entries) {
      if (author !== account.userId || producer !== own) continue;
      if (number !== last + 1) faults.push(`${author} said ${number} after ${last}`);
      last = number;
    }
  }
  return faults;
}
