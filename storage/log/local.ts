// The channel log where one process has the data (see fence/local.ts). What is kept is settled at once: a write is
// durable when it is told, and no second owner can have been active before this one's claim ended its tenure. So the
// fence's rules 2 to 4 come down to this: whoever has lost the shard appends and acknowledges nothing.

import { assert, type Tenure } from "../../runtime/index.ts";
import { type LocalFence, shardLost } from "../fence/local.ts";
import { numberBytes, numberFrom } from "../kv/numbers.ts";
import type { Keeper, KeyValue, Row } from "../kv/port.ts";
import type { StorageSettings } from "../settings.ts";
import type { ChannelLog, ChannelLogStore, LogEvents, LogRange, LogRow } from "./port.ts";

export function createLocalLogs(keyValue: KeyValue, fence: LocalFence, settings: StorageSettings): ChannelLogStore {
  const openLogs = new Map<number, Set<LocalLog>>();
  fence.onLost((tenure, highestEpoch) => {
    for (const log of [...(openLogs.get(tenure.shard) ?? [])]) log.lose(tenure, highestEpoch);
  });

  const read = (channelId: string, range: LogRange): LogRow[] =>
    keyValue
      .range("log", channelId, {
        from: numberBytes(Math.max(range.from, 1)),
        to: numberBytes(Math.max(range.to, 0)),
        rowsMax: range.rowsMax,
        bytesMax: range.bytesMax,
        descending: range.newestFirst ?? false,
      })
      .map(logRow);

  return {
    async open(channelId, tenure, events) {
      await fence.verify(tenure);
      const [last] = keyValue.range("log", channelId, { rowsMax: 1, descending: true });
      const logs = openLogs.get(tenure.shard) ?? new Set();
      openLogs.set(tenure.shard, logs);
      const log = new LocalLog({ channelId, tenure, events, keyValue, settings, read, logs }, last);
      logs.add(log);
      return log;
    },
    async read(channelId, range) {
      return read(channelId, range);
    },
  };
}

function logRow(row: Row): LogRow {
  return { id: numberFrom(row.cluster), record: row.value };
}

interface Parts {
  readonly channelId: string;
  readonly tenure: Tenure;
  readonly events: LogEvents;
  readonly keyValue: KeyValue;
  readonly settings: StorageSettings;
  readonly read: (channelId: string, range: LogRange) => LogRow[];
  /** Where this log is listed while it is open. */
  readonly logs: Set<LocalLog>;
}

class LocalLog implements ChannelLog, Keeper {
  readonly #parts: Parts;
  readonly #opened: number;
  #phase: "open" | "lost" | "closed" = "open";
  #tail: number;
  #settled: number;
  #telling = false;
  readonly #tell = () => {
    this.#telling = false;
    if (this.#phase === "open") this.#parts.events.onSettled(this.#settled);
  };

  constructor(parts: Parts, last: Row | undefined) {
    this.#parts = parts;
    this.#opened = last === undefined ? 0 : numberFrom(last.cluster);
    this.#tail = this.#opened;
    this.#settled = this.#opened;
  }

  get tail(): number {
    return this.#tail;
  }
  get settled(): number {
    return this.#settled;
  }
  get busy(): boolean {
    return this.#phase === "open" && this.#tail > this.#settled;
  }

  append(record: Uint8Array): number {
    const { channelId, tenure, keyValue } = this.#parts;
    if (this.#phase === "lost") throw shardLost(tenure, tenure.epoch);
    assert(this.#phase === "open", "nothing is appended to a closed log");
    const id = this.#tail + 1;
    keyValue.put({ table: "log", partition: channelId, cluster: numberBytes(id), value: record, keeper: this });
    this.#tail = id;
    return id;
  }

  /** One row of a commit. All rows of the commit are told in one step, and only then is the actor told, once. */
  kept(): void {
    this.#settled += 1;
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(this.#tell);
  }

  async settleAdopted(): Promise<void> {}

  async *replay(from: number): AsyncIterable<LogRow> {
    const { channelId, read, settings } = this.#parts;
    const { replayRowsMax: rowsMax, replayBytesMax: bytesMax } = settings;
    let next = Math.max(from, 1);
    while (next <= this.#opened) {
      const rows = read(channelId, { from: next, to: this.#opened, rowsMax, bytesMax });
      yield* rows;
      const last = rows.at(-1);
      assert(last !== undefined, "a log has no holes below its tail");
      next = last.id + 1;
    }
  }

  lose(tenure: Tenure, highestEpoch: number): void {
    if (this.#phase !== "open" || this.#parts.tenure.epoch !== tenure.epoch) return;
    this.#phase = "lost";
    this.#parts.logs.delete(this);
    queueMicrotask(() => this.#parts.events.onLost(shardLost(tenure, highestEpoch)));
  }

  close(): void {
    assert(!this.busy, "a log with a batch in flight is not closed");
    this.#phase = "closed";
    this.#parts.logs.delete(this);
  }
}
