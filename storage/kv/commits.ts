// Group commit without a timer: what gathers while a commit is under way leaves together in the next one.
//
// (C1) One commit at a time, in the order of the writes.
// (C2) A commit that failed has an unknown outcome. It is sent again, the same bytes, with growing pauses, until it
//      succeeds; nothing is told as kept meanwhile.
// (C3) What is held in memory is bounded in bytes; beyond that add() throws OVERLOADED.

import { type Clock, type Logger, runtimeErrors } from "../../runtime/index.ts";
import { storageErrors } from "../errors.ts";
import type { StorageSettings } from "../settings.ts";
import type { StoreStats } from "../stores.ts";
import { ROW_OVERHEAD_BYTES, type Write } from "./port.ts";

export interface GroupCommitOptions {
  readonly clock: Clock;
  readonly settings: StorageSettings;
  readonly log: Logger;
  /** Bytes that are kept already and still held in memory. */
  heldBytes?(): number;
  /** Resolves when all writes are durable, and rejects when that is not known. There may be none. */
  commit(writes: readonly Write[]): Promise<void>;
}

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #phase: "idle" | "gathering" | "committing" | "closed" = "idle";
  #waiting: Write[] = [];
  #bytes = 0;
  #closing = false;
  #ended: (() => void) | undefined;
  #interruptPause: (() => void) | undefined;
  readonly #counts = { commits: 0, failedCommits: 0, writes: 0, bytes: 0 };
  readonly #begin = () => void this.#run();

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  add(write: Write): void {
    if (this.#closing) throw storageErrors.STORE_CLOSED({ executed: "no" });
    const bytes = ROW_OVERHEAD_BYTES + (write.value?.byteLength ?? 0);
    const { settings, heldBytes } = this.#options;
    if (this.#bytes + (heldBytes?.() ?? 0) + bytes > settings.heldBytesMax) {
      throw runtimeErrors.OVERLOADED({
        message: "More writes wait for the disk than memory is set aside for.",
        retryAfterMs: settings.retryPauseMaxMs,
      });
    }
    this.#bytes += bytes;
    this.#waiting.push(write);
    this.nudge();
  }

  /** Commits soon, even if nothing waits: what else is done between commits gets its turn. */
  nudge(): void {
    if (this.#phase !== "idle" || this.#closing) return;
    this.#phase = "gathering";
    this.#options.clock.soon(this.#begin);
  }

  async #run(): Promise<void> {
    this.#phase = "committing";
    do {
      const { commitWritesMax } = this.#options.settings;
      const batch = this.#waiting.length <= commitWritesMax ? this.#waiting : this.#waiting.slice(0, commitWritesMax);
      this.#waiting = batch === this.#waiting ? [] : this.#waiting.slice(commitWritesMax);
      if (!(await this.#insist(batch))) break;
    } while (this.#waiting.length > 0);
    this.#phase = this.#closing ? "closed" : "idle";
    this.#ended?.();
  }

  /** False when the store was closed before the batch was known to be kept. */
  async #insist(batch: Write[]): Promise<boolean> {
    const { commit, settings, log } = this.#options;
    let pauseMs = settings.retryPauseMs;
    for (;;) {
      try {
        await commit(batch);
        break;
      } catch (error) {
        this.#counts.failedCommits += 1;
        log.error({ error, writes: batch.length, retryAfterMs: pauseMs }, "a commit failed and is sent again");
        if (this.#closing) return false;
      }
      await this.#pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, settings.retryPauseMaxMs);
    }
    if (batch.length === 0) return true;
    this.#counts.commits += 1;
    this.#counts.writes += batch.length;
    for (const write of batch) {
      const bytes = write.value?.byteLength ?? 0;
      this.#bytes -= ROW_OVERHEAD_BYTES + bytes;
      this.#counts.bytes += bytes;
    }
    for (const write of batch) write.keeper.kept();
    return true;
  }

  #pause(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(pauseMs, resolve);
      this.#interruptPause = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  stats(): StoreStats {
    return {
      ...this.#counts,
      waitingWrites: this.#waiting.length,
      waitingBytes: this.#bytes,
      heldBytes: this.#options.heldBytes?.() ?? 0,
    };
  }

  /** Resolves when what waited is kept, or was tried once more in vain. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#interruptPause?.();
    if (this.#phase === "idle" || this.#phase === "closed") return;
    await new Promise<void>((resolve) => {
      this.#ended = resolve;
    });
  }
}
