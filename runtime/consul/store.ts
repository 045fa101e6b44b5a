// The placement store on Consul: keys under `madang/<cluster>/`, sessions of their own, and two blocking queries.
//
// A key is written by a transaction of two checks and one change (S1); `madang nodes` and Consul's own tools read the same.

import { type Clock, pause } from "../clock.ts";
import { toMadangError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { PlacementKey, PlacementStore, Stored, StoredMember, Watch } from "../placement/store.ts";
import type { Random } from "../random.ts";
import { ConsulClient, type ConsulOptions } from "./client.ts";

export interface ConsulStoreOptions extends ConsulOptions {
  readonly cluster: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly sessionTtlMs: number;
}

interface Entry {
  readonly Key: string;
  readonly Value: string | null;
  readonly ModifyIndex: number;
  readonly Session?: string;
}

/** How long a blocking query waits for a change; Consul adds a sixteenth. Nobody notices how long it is. */
const WAIT_S = 55;
const WATCH_TIMEOUT_MS = 70_000;
/** A value that changes all the time is read at most so often, for every change wakes every node. */
const WATCH_EVERY_MS = 100;
/** After an error; with as much again by chance, so that nodes do not come back together. */
const WATCH_RETRY_MS = 1_000;

export function createConsulStore(options: ConsulStoreOptions): PlacementStore {
  return new ConsulStore(options);
}

class ConsulStore implements PlacementStore {
  readonly #options: ConsulStoreOptions;
  readonly #client: ConsulClient;
  readonly #prefix: string;
  readonly #watches = new Set<Watch>();

  constructor(options: ConsulStoreOptions) {
    this.#options = options;
    this.#client = new ConsulClient(options);
    this.#prefix = `madang/${encodeURIComponent(options.cluster)}/`;
  }

  get failures(): number {
    return this.#client.failures;
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
    this.#client.close();
  }

  // ---- values

  async read(key: PlacementKey): Promise<Stored | undefined> {
    const path = `/v1/kv/${this.#prefix}${key}?consistent`;
    const { status, body } = await this.#client.call(path, { accept: [404] });
    return status === 404 ? undefined : this.#stored(path, body);
  }

  async write(
    key: PlacementKey,
    bytes: Uint8Array,
    over: number,
    guard?: { readonly key: PlacementKey; readonly version: number },
  ): Promise<number | undefined> {
    const change = { Verb: "cas", Key: this.#prefix + key, Value: Buffer.from(bytes).toString("base64"), Index: over };
    const checks =
      guard === undefined ? [] : [{ KV: { Verb: "check-index", Key: this.#prefix + guard.key, Index: guard.version } }];
    const path = "/v1/txn";
    const { status, body } = await this.#client.call(path, {
      method: "PUT",
      body: JSON.stringify([...checks, { KV: change }]),
      accept: [409],
    });
    if (status === 409) return undefined;
    const { Results } = this.#parse<{ readonly Results: readonly { readonly KV: Entry }[] }>(path, body);
    const written = Results?.find(({ KV }) => KV?.Key === change.Key)?.KV.ModifyIndex;
    if (!Number.isSafeInteger(written)) throw this.#client.garbage(path, new Error("no index"));
    return written as number;
  }

  #stored(path: string, body: Uint8Array): Stored | undefined {
    const [entry] = this.#entries(path, body);
    return entry && { bytes: bytesOf(entry), version: entry.ModifyIndex };
  }

  #entries(path: string, body: Uint8Array): readonly Entry[] {
    const entries = this.#parse<readonly Entry[]>(path, body);
    if (Array.isArray(entries) && entries.every((entry) => typeof entry?.Key === "string")) return entries;
    throw this.#client.garbage(path, new Error("not a list of keys"));
  }

  #parse<T>(path: string, body: Uint8Array): T {
    try {
      return JSON.parse(new TextDecoder().decode(body)) as T;
    } catch (cause) {
      throw this.#client.garbage(path, cause);
    }
  }

  // ---- sessions and members

  /** Consul ends a session when a health check of its machine fails, unless told not to; so look what was made. */
  async openSession(nodeId: string): Promise<string> {
    const path = "/v1/session/create";
    const { body } = await this.#client.call(path, {
      method: "PUT",
      body: JSON.stringify({
        Name: `madang ${nodeId}`,
        TTL: `${Math.ceil(this.#options.sessionTtlMs / 1_000)}s`,
        Behavior: "delete", // the member goes with its session
        LockDelay: "0s", // a member's key is this node's alone, and has to be back at once after a new session
        NodeChecks: [],
        ServiceChecks: [],
      }),
    });
    const { ID } = this.#parse<{ readonly ID?: string }>(path, body);
    if (typeof ID !== "string" || ID === "") throw this.#client.garbage(path, new Error("no session"));
    const [made] = await this.#session(ID);
    const checks = [...(made?.NodeChecks ?? []), ...(made?.Checks ?? [])];
    if (made?.Behavior === "delete" && checks.length === 0) return ID;
    await this.endSession(ID);
    throw this.#client.garbage(path, new Error("the session is bound to checks that were not asked for"));
  }

  async #session(id: string) {
    const path = `/v1/session/info/${id}`;
    const { body } = await this.#client.call(`${path}?consistent`);
    return this.#parse<
      readonly {
        readonly Behavior: string;
        readonly NodeChecks?: readonly string[];
        readonly Checks?: readonly string[];
      }[]
    >(path, body);
  }

  async renewSession(session: string): Promise<boolean> {
    const { status } = await this.#client.call(`/v1/session/renew/${session}`, { method: "PUT", accept: [404] });
    return status === 200;
  }

  async endSession(session: string): Promise<void> {
    await this.#client.call(`/v1/session/destroy/${session}`, { method: "PUT" });
  }

  async putMember(nodeId: string, bytes: Uint8Array, session: string): Promise<boolean> {
    const path = `/v1/kv/${this.#prefix}members/${encodeURIComponent(nodeId)}?acquire=${session}`;
    const { status, body } = await this.#client.call(path, { method: "PUT", body: bytes, accept: [400, 500] });
    const said = new TextDecoder().decode(body).trim();
    if (status === 200) return said === "true";
    if (said.includes("invalid session")) return false; // so says Consul that it has ended
    throw this.#client.unready(status, said.slice(0, 200));
  }

  async members(): Promise<readonly StoredMember[]> {
    const path = `/v1/kv/${this.#prefix}members/?recurse&consistent`;
    const { status, body } = await this.#client.call(path, { accept: [404] });
    return status === 404 ? [] : this.#members(path, body);
  }

  #members(path: string, body: Uint8Array): StoredMember[] {
    const under = `${this.#prefix}members/`;
    return this.#entries(path, body)
      .filter(({ Key, Session }) => Key.startsWith(under) && Session !== undefined) // without a session nobody stands behind it
      .map((entry) => ({ nodeId: entry.Key.slice(under.length), bytes: bytesOf(entry), session: entry.Session ?? "" }));
  }

  async wallMs(): Promise<number> {
    const { dateMs } = await this.#client.call("/v1/status/leader");
    if (Number.isNaN(dateMs)) throw this.#client.garbage("/v1/status/leader", new Error("no date"));
    return dateMs;
  }

  // ---- watches

  watchMembers(listener: (members: readonly StoredMember[]) => void): Watch {
    const path = `/v1/kv/${this.#prefix}members/?recurse`;
    return this.#watch(path, (status, body) => listener(status === 404 ? [] : this.#members(path, body)));
  }

  watchTable(listener: (table: Stored | undefined) => void): Watch {
    const path = `/v1/kv/${this.#prefix}placement?`;
    return this.#watch(path, (status, body) => listener(status === 404 ? undefined : this.#stored(path, body)));
  }

  /** Whoever listens compares: a blocking query may return for nothing, and its index may go back. */
  #watch(path: string, tell: (status: number, body: Uint8Array) => void): Watch {
    const { clock, random, log } = this.#options;
    const abort = new AbortController();
    const watch: Watch = {
      close: () => {
        abort.abort();
        this.#watches.delete(watch);
      },
    };
    this.#watches.add(watch);
    const run = async () => {
      let index = 0;
      while (!abort.signal.aborted) {
        const startedMs = clock.monotonicMs();
        try {
          const answer = await this.#client.call(`${path}&index=${index}&wait=${WAIT_S}s`, {
            timeoutMs: WATCH_TIMEOUT_MS,
            signal: abort.signal,
            accept: [404],
          });
          if (abort.signal.aborted) return;
          // Back, or below 1: begin anew (Consul's own rule for its clients).
          const next = answer.index < index || answer.index < 1 ? 0 : answer.index;
          if (next !== index || index === 0) tell(answer.status, answer.body);
          index = next;
          const restMs = WATCH_EVERY_MS * (1 + random.next()) - (clock.monotonicMs() - startedMs);
          if (restMs > 0) await pause(clock, restMs);
        } catch (error) {
          if (abort.signal.aborted) return;
          log.debug({ error: toMadangError(error) }, "a watch of Consul broke off");
          index = 0;
          await pause(clock, WATCH_RETRY_MS * (1 + random.next()));
        }
      }
    };
    void run();
    return watch;
  }
}

function bytesOf({ Value }: Entry): Uint8Array {
  return new Uint8Array(Buffer.from(Value ?? "", "base64"));
}
